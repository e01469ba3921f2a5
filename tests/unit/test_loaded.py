import dataclasses
import json
import shutil
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlplug.checkpoint import load_component
from rlplug.envs.space_json import spaces_to_json
from rlplug.errors import CheckpointError, RunFolderError, ShapeError
from rlplug.loaded import load
from rlplug.seeding import Seeds

OBSERVATION = np.array([0.1, -0.2, 0.3, -0.4], np.float32)


def test_one_observation_gets_one_action_that_the_environment_takes(cartpole_run):
    policy = load(cartpole_run)
    env = gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=0)
    for _ in range(5):
        action = policy.act(observation)
        assert env.action_space.contains(action)
        observation = env.step(action)[0]
    env.close()


def test_a_batch_gets_the_action_that_each_observation_gets_alone(cartpole_run):
    policy = load(cartpole_run)
    batch = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    actions = policy.act(batch)
    assert actions.shape == (50,)
    assert actions.tolist() == [policy.act(row) for row in batch]
    assert set(actions.tolist()) == {0, 1}


def test_lists_and_other_dtypes_are_taken(cartpole_run):
    policy = load(cartpole_run)
    expected = policy.act(OBSERVATION)
    assert policy.act(OBSERVATION.tolist()) == expected
    assert policy.act(OBSERVATION.astype(np.float64)) == expected
    assert policy.act([OBSERVATION.tolist()]).tolist() == [expected]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 2, 4)])
def test_an_observation_of_another_shape_is_refused(cartpole_run, shape):
    with pytest.raises(ShapeError, match=r"expected \(4,\), or \('N', 4\) for N at once|axes"):
        load(cartpole_run).act(np.zeros(shape))


def test_the_network_has_the_weights_of_the_checkpoint(cartpole_run):
    for checkpoint, steps in (("last", 200), ("best", 100)):
        policy = load(cartpole_run, checkpoint)
        assert policy.info.env_steps == steps
        saved = load_component(policy.checkpoint, "policy_weights")
        acting = policy.policy(1, Seeds(9)).network.state_dict()
        assert saved.keys() == acting.keys()
        assert all((saved[name] == acting[name]).all() for name in saved)


def test_a_checkpoint_can_be_chosen_by_its_path(cartpole_run):
    path = load(cartpole_run, "best").checkpoint
    assert load(cartpole_run, path).info.env_steps == 100


def test_it_knows_what_it_is(cartpole_run):
    policy = load(cartpole_run)
    assert (policy.algorithm, policy.environment) == ("dqn", "cartpole")
    assert policy.config.env.max_episode_steps == 30
    assert policy.action_space == spaces.Discrete(2)


def test_missing_runs_and_checkpoints_are_named(tmp_path, make_run):
    with pytest.raises(RunFolderError, match="does not exist"):
        load(tmp_path / "nothing")
    empty = make_run("cartpole", scores=())
    with pytest.raises(CheckpointError, match="has no last checkpoint"):
        load(empty)
    unrated = make_run("cartpole")
    with pytest.raises(CheckpointError, match="take the last one instead"):
        load(unrated, "best")
    (unrated / "spaces.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"spaces\.json cannot be read"):
        load(unrated)


def test_loading_builds_no_environment_trainer_or_replay(cartpole_run):
    script = f"""
import sys, rlplug.loaded
policy = rlplug.loaded.load({str(cartpole_run)!r})
print(policy.act([0.0, 0.0, 0.0, 0.0]))
allowed = {{"rlplug.train", "rlplug.train.config", "rlplug.train.spec",
           "rlplug.replay", "rlplug.replay.config"}}
barred = ("rlplug.train", "rlplug.replay", "rlplug.collect", "rlplug.envs.make", "ray",
          "gymnasium.envs.classic_control.cartpole")
print({{m for m in sys.modules if m.startswith(barred)}} - allowed)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    action, modules = done.stdout.split()
    assert action in {"0", "1"}
    assert modules == "set()"


def scripted(run, observation_space, action_space):
    """The run's policy as if it had been scripted, for other spaces."""
    file = run / "spaces.json"
    kept = file.read_text()
    file.write_text(json.dumps(spaces_to_json(observation_space, action_space)))
    trained = load(run)
    file.write_text(kept)
    spec = trained.resolved.algorithm
    scripted = spec.model_copy(update={"policy": "rlplug.testing.scripted:ScriptedPolicy"})
    trained.resolved = dataclasses.replace(trained.resolved, algorithm=scripted)
    return trained


FOUR = spaces.Box(-1, 1, (4,)), spaces.Discrete(2)


def test_nested_observations_are_batched_and_actions_are_clipped(cartpole_run):
    space = spaces.Dict(
        image=spaces.Box(0, 255, (2, 2), np.uint8),
        rest=spaces.Tuple([spaces.Discrete(5), spaces.Box(-1, 1, (3,))]),
    )
    policy = scripted(cartpole_run, space, spaces.Box(0.5, 1.0, (2,)))
    one = space.sample()
    assert policy.act(one).tolist() == [0.5, 0.5]  # the script's zeros, clipped
    many = {
        "image": np.stack([one["image"]] * 3),
        "rest": (np.full(3, one["rest"][0]), np.stack([one["rest"][1]] * 3)),
    }
    assert policy.act(many).tolist() == [[0.5, 0.5]] * 3
    with pytest.raises(ShapeError, match="leading axes"):
        policy.act({**many, "image": one["image"]})


def test_a_recurrent_policy_remembers_until_it_is_reset(cartpole_run):
    policy = scripted(cartpole_run, *FOUR)
    ages = []
    for _ in range(3):
        policy.act(OBSERVATION)
        ages.append(policy._state.tolist())
    policy.reset()
    ages.append(policy._state.tolist())
    assert ages == [[1], [2], [3], [0]]
    for _ in range(2):
        policy.act(np.stack([OBSERVATION] * 2))
    policy.reset(np.array([True, False]))
    assert policy._state.tolist() == [0, 2]


def test_a_policy_is_told_its_place_and_the_progress_of_the_run(cartpole_run):
    trained = scripted(cartpole_run, *FOUR)
    policy = trained.policy(3, Seeds(0))
    assert policy.context.streams.tolist() == [0, 1, 2]
    assert policy.context.num_streams == 3
    assert policy.context.total_env_steps == trained.config.train.steps
    assert policy.progress == [200]
    assert policy.weights


@pytest.mark.parametrize(
    ("changed", "numbers"),
    [
        ({"observation_space": {"kind": "Box", "shape": [10**6, 10**6]}}, "1,000,000,000,000"),
        ({"observation_space": {"kind": "MultiBinary", "n": [10**13]}}, "10,000,000,000,000"),
        ({"action_space": {"kind": "Discrete", "n": 10**12}}, "1,000,000,000,000"),
        ({"action_space": {"kind": "MultiDiscrete", "nvec": [2, 10**8]}}, "100,000,002"),
        (
            {"action_space": {"kind": "Tuple", "spaces": [
                {"kind": "Discrete", "n": -(10**12)}, {"kind": "Discrete", "n": 10**12},
            ]}},
            "2,000,000,000,000",
        ),
    ],
)  # fmt: skip
def test_spaces_of_absurd_size_are_refused_before_memory_is_taken(
    cartpole_run, tmp_path, monkeypatch, changed, numbers
):
    run = shutil.copytree(cartpole_run, tmp_path / "run")
    stored = json.loads((run / "spaces.json").read_text())
    for name, space in changed.items():
        stored[name] |= space
    (run / "spaces.json").write_text(json.dumps(stored))

    def take(*_):
        raise AssertionError("memory was taken")

    for name in ("full", "array", "empty", "zeros"):
        monkeypatch.setattr(np, name, take)
    with pytest.raises(RunFolderError, match=f"_space has {numbers} numbers, more than"):
        load(run)


def test_weights_that_do_not_fit_are_refused_in_words(cartpole_run, tmp_path):
    run = shutil.copytree(cartpole_run, tmp_path / "run")
    file = run / "spaces.json"
    text = file.read_text()
    assert '"n": 2' in text
    file.write_text(text.replace('"n": 2', '"n": 3'))
    with pytest.raises(CheckpointError, match=r"do not fit the policy of dqn: RuntimeError"):
        load(run).act(np.zeros(4, np.float32))
