import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlplug.checkpoint import load_component
from rlplug.errors import CheckpointError, RunFolderError, ShapeError
from rlplug.loaded import LoadedPolicy, load
from rlplug.protocols import PolicyContext
from rlplug.seeding import Seeds
from rlplug.testing.scripted import ScriptedPolicy

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
for name in ("rlplug.envs.make", "rlplug.train", "rlplug.collect.local", "ray",
             "gymnasium.envs.classic_control.cartpole"):
    assert not any(m == name or m.startswith(name + ".") for m in sys.modules), name
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in {"0", "1"}


class Spoken:
    """A resolved run whose policy is scripted and whose spaces are nested."""

    def __init__(self, monkeypatch, run, observation_space, action_space, actions):
        self.contexts = []

        def build(config, context):
            self.contexts.append(context)
            return ScriptedPolicy(config, context, actions)

        import rlplug.loaded as module

        monkeypatch.setattr(module, "_read_spaces", lambda _: (observation_space, action_space))
        monkeypatch.setattr(module.discovery, "import_string", lambda _: build)
        self.policy = load(run)
        assert isinstance(self.policy, LoadedPolicy)


@pytest.fixture
def nested(monkeypatch, cartpole_run):
    observation_space = spaces.Dict(
        image=spaces.Box(0, 255, (2, 2), np.uint8),
        rest=spaces.Tuple([spaces.Discrete(5), spaces.Box(-1, 1, (3,))]),
    )
    action_space = spaces.Box(-1.0, 1.0, (2,))
    actions = np.array([[[-5.0, 0.5]]]).repeat(3, axis=1)
    return Spoken(monkeypatch, cartpole_run, observation_space, action_space, actions)


def one_of(space):
    return space.sample()


def test_nested_observations_and_bounded_actions(nested):
    policy = nested.policy
    one = policy.observation_space.sample()
    nested.policy._acting = None
    many = {
        "image": np.stack([one["image"]] * 3),
        "rest": (np.full(3, one["rest"][0]), np.stack([one["rest"][1]] * 3)),
    }
    assert policy.act(many).tolist() == [[-1.0, 0.5]] * 3
    mixed = {**many, "image": one["image"]}
    with pytest.raises(ShapeError, match="leading axes"):
        policy.act(mixed)


def test_a_recurrent_policy_remembers_until_it_is_reset(monkeypatch, cartpole_run):
    spoken = Spoken(monkeypatch, cartpole_run, spaces.Box(-1, 1, (4,)), spaces.Discrete(2), None)
    policy = spoken.policy
    ages = []
    for _ in range(3):
        policy.act(OBSERVATION)
        ages.append(policy._state.tolist())
    policy.reset()
    ages.append(policy._state.tolist())
    assert ages == [[1], [2], [3], [0]]
    policy.act(np.stack([OBSERVATION] * 2))
    policy.act(np.stack([OBSERVATION] * 2))
    policy.reset(np.array([True, False]))
    assert policy._state.tolist() == [0, 2]


def test_a_policy_is_told_its_place_and_its_progress(monkeypatch, cartpole_run):
    spoken = Spoken(monkeypatch, cartpole_run, spaces.Box(-1, 1, (4,)), spaces.Discrete(2), None)
    policy = spoken.policy.policy(3, Seeds(0))
    context = spoken.contexts[-1]
    assert isinstance(context, PolicyContext)
    assert context.streams.tolist() == [0, 1, 2]
    assert context.num_streams == 3
    assert context.total_env_steps == spoken.policy.config.train.steps
    assert policy.progress == [200]
    assert policy.weights
