"""Training from the command line and from Python, and what it leaves behind."""

from __future__ import annotations

import json

import gymnasium
import pytest

import rlplug


@pytest.fixture
def short_cartpole():
    def make(**kwargs):
        return gymnasium.make("CartPole-v1", max_episode_steps=30, **kwargs)

    return make


def policy_of(state):
    return {name: leaf for name, leaf in state.items() if name.startswith("policy_weights")}


def test_a_run_leaves_a_whole_folder_and_plain_lines(lab):
    outcome = lab(
        "train dqn cartpole --steps 2000 --train.collect_env_steps 100 --launch.num_envs 1 "
        "--console plain --tracking.report_every_env_steps 100 --evaluate.every_env_steps 500"
    )
    assert (outcome.code, outcome.err) == (0, "")
    (run_dir,) = lab.runs()
    assert run_dir.match("runs/cartpole/dqn/*-0")
    names = {file.name.partition(".tfevents")[0] for file in run_dir.iterdir()}
    assert names - {"events.out"} == {
        "config.yaml", "run.json", "metrics.jsonl", "console.log", "spaces.json", "checkpoints",
        ".lock",
    }  # fmt: skip

    record = lab.record(run_dir)
    assert (record["state"], record["env_steps"], record["outcome"]) == ("finished", 2000, None)
    assert record["evaluation"]["episodes"] == 50
    assert {"python", "rlplug", "torch", "numpy", "gymnasium"} <= record["versions"].keys()

    rows = lab.rows(run_dir)
    reports = [row["env_steps"] for row in rows if "updates" in row]
    evaluations = [row["env_steps"] for row in rows if "evaluation/mean_return" in row]
    assert reports == list(range(100, 2001, 100))
    assert evaluations == [500, 1000, 1500, 2000]
    assert lab.checkpoint_steps(run_dir)[-1] == 2000
    assert len(lab.checkpoint_steps(run_dir)) <= 3

    for word in ("nan", "Traceback", "None", "\x1b"):
        assert word not in outcome.out
    for word in (
        "dqn on cartpole, seed 0",
        "2,000/2,000",
        f"run folder   {run_dir}",
        "rlplug eval",
    ):
        assert word in outcome.out
    assert (run_dir / "console.log").read_text() == outcome.out


def test_a_finished_run_is_evaluated_shown_and_described(lab):
    run_dir = lab.train("dqn cartpole --steps 300")
    report = json.loads(lab(f"eval {run_dir} --episodes 3 --json").out)
    assert report.keys() >= {
        "mean_return", "std_return", "returns", "episodes", "env_steps", "algorithm", "environment",
    }  # fmt: skip
    assert len(report["returns"]) == report["episodes"] == 3
    assert report["env_steps"] == sum(report["lengths"]) == sum(report["returns"])
    assert json.loads(lab(f"eval {run_dir} --episodes 3 --json").out) | {"seconds": 0} == (
        report | {"seconds": 0}
    )
    assert "over 3 episodes" in lab(f"eval {run_dir} --episodes 3").out
    shown = json.loads(lab("show dqn cartpole --steps 5 --json").out)
    assert shown["settings"]["train.steps"] == {"value": 5, "layer": "command line"}
    assert "cartpole" in lab("list environments").out
    assert json.loads(lab("info dqn --json").out)["algorithm"]["trainer"] == "off-policy"


def test_python_and_the_command_line_train_the_same_weights(lab):
    run_dir = lab.train("dqn cartpole --steps 600 --seed 3")
    settings = dict(
        pair.split()
        for pair in (
            "agent.batch_size 16",
            "train.warmup_env_steps 100",
            "train.collect_env_steps 16",
            "train.updates_per_env_step 0.125",
            "evaluate.num_envs 2",
            "tracking.console off",
        )
    )
    result = rlplug.train(
        "dqn",
        "cartpole",
        preset=None,
        steps=600,
        seed=3,
        run_dir="python",
        agent={"network": {"hidden_sizes": [16]}},
        evaluate={"episodes": 2, "final_episodes": 4},
        tracking={"tensorboard": False},
        **settings,
    )
    assert policy_of(lab.state(result.run_dir)) == policy_of(lab.state(run_dir))
    observation = gymnasium.make("CartPole-v1").reset(seed=1)[0]
    actions = [rlplug.load(folder).act(observation) for folder in (result.run_dir, run_dir)]
    assert actions[0] == actions[1]
    assert result.evaluation.returns == lab.record(run_dir)["evaluation"]["returns"]


def test_the_config_of_a_run_reproduces_it(lab):
    first = lab.train(
        "dqn cartpole --steps 500 --seed 7 --replay.n_step 3 --replay.sampler prioritized"
    )
    outcome = lab(f"train --config {first / 'config.yaml'}")
    assert outcome.code == 0, outcome.err
    (second,) = set(lab.runs()) - {first}
    assert lab.state(second) == lab.state(first)
    assert lab.rows(second) == lab.rows(first)
    assert (second / "config.yaml").read_text() == (first / "config.yaml").read_text()


def test_eight_workers_step_eight_environments(lab):
    run_dir = lab.train("dqn cartpole --steps 804 --workers 8 --launcher local")
    assert lab.record(run_dir)["env_steps"] == 808  # whole vector steps
    state = lab.state(run_dir)
    assert state["collector.adapter.resets_next"][0] == (8,)


def test_several_seeds_end_in_one_table(lab):
    small = (
        "--agent.network.hidden_sizes [16] --evaluate.final_episodes 4 --tracking.tensorboard false"
    )
    outcome = lab(f"train dqn cartpole --seeds 0-1 --steps 200 {small} --console off")
    assert outcome.code == 0, outcome.err
    runs = lab.runs()
    assert [lab.record(run_dir)["seed"] for run_dir in runs] == [0, 1]
    for word in ("seed", "Mean of the runs", "Interquartile mean", *map(str, runs)):
        assert word in outcome.out
    outcome = lab(f"train dqn cartpole --seeds 0-1 --steps 200 {small} --json")
    report = json.loads(outcome.out)
    means = [lab.record(run_dir)["evaluation"]["mean_return"] for run_dir in runs]
    assert [run["evaluation"]["mean_return"] for run in report["runs"]] == means
    assert report["mean"] == pytest.approx(sum(means) / 2)


def test_a_dry_run_writes_nothing(lab):
    outcome = lab("train dqn cartpole --dry-run --steps 1e4")
    assert outcome.code == 0
    assert "10000" in outcome.out
    assert list(lab.folder.iterdir()) == []


def test_a_callable_makes_the_environment(lab, short_cartpole):
    result = rlplug.train(
        "dqn",
        short_cartpole,
        steps=300,
        env={"kwargs": {"sutton_barto_reward": False}},
        evaluate={"final_episodes": 4},
        **{"tracking.console": "off"},
    )
    assert max(result.evaluation.lengths) <= 30
    assert result.run_dir.is_dir()


def test_wrappers_and_keyword_arguments_come_from_the_config(lab):
    (lab.folder / "mine.yaml").write_text(
        """
        env:
          kwargs: {sutton_barto_reward: true}
          max_episode_steps: 20
          wrappers:
            - {entry: "gymnasium.wrappers:FrameStackObservation", kwargs: {stack_size: 2}}
            - gymnasium.wrappers:FlattenObservation
        """
    )
    run_dir = lab.train("dqn cartpole --config mine.yaml --steps 300")
    assert json.loads((run_dir / "spaces.json").read_text())["observation_space"]["shape"] == [8]
    evaluation = lab.record(run_dir)["evaluation"]
    assert max(evaluation["lengths"]) <= 20
    assert set(evaluation["returns"]) <= {0.0, -1.0}  # what that reward gives


@pytest.mark.parametrize("environment", ["Acrobot-v1", "FrozenLake-v1"])
def test_any_gymnasium_id_trains(lab, environment):
    run_dir = lab.train(f"dqn {environment} --steps 200 --env.max_episode_steps 30")
    assert lab.record(run_dir)["state"] == "finished"


def test_a_run_whose_warm_up_never_ends_says_so(lab):
    outcome = lab("train dqn cartpole --steps 300 --evaluate.final_episodes 2 --console plain")
    assert outcome.code == 0
    assert "Nothing will be learned: updates begin after step 1,000" in outcome.out
