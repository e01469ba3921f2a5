"""Every example runs as its own docstring says, shortened, and does what it claims."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
import torch
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*.py"))


@pytest.fixture
def run(tmp_path):
    """Run Python in an empty folder and return what it printed: `run("example.py", "600")`."""

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def records(folder: Path) -> list[dict]:
    """`run.json` of every run, the earliest first."""
    found = [json.loads(file.read_text()) for file in folder.glob("runs/*/*/*/run.json")]
    return sorted(found, key=lambda record: record["started"])


def test_train_from_python(run, tmp_path):
    out = run(str(EXAMPLES / "train_from_python.py"), "600")
    (record,) = records(tmp_path)
    assert (record["state"], record["seed"]) == ("finished", 1)
    assert record["env_steps"] >= 600
    by_hand = float(out.splitlines()[-1].removeprefix("one more episode by hand: "))
    assert 8 <= by_hand <= 500  # CartPole falls no sooner, and ends there


def test_own_environment_is_learned(run, tmp_path):
    out = run(str(EXAMPLES / "own_environment.py"), "3000")
    mean_return = float(out.splitlines()[-1].split()[2].rstrip(";"))
    assert mean_return > 0.0  # a random paddle misses four balls of five: -0.6
    (config,) = tmp_path.glob("runs/*/*/*/config.yaml")
    assert "width: 5" in config.read_text()


def test_own_algorithm_trains_as_a_plugin(run, tmp_path):
    run(
        "-m", "rlplug", "train", "advantage-learning", "cartpole", "--steps", "1500",
        "--plugin", str(EXAMPLES / "advantage_learning.py"), "--agent.action_gap", "0.25",
    )  # fmt: skip
    (record,) = records(tmp_path)
    assert (record["algorithm"], record["state"]) == ("advantage-learning", "finished")
    (config,) = tmp_path.glob("runs/*/*/*/config.yaml")
    assert "action_gap: 0.25" in config.read_text()


def test_own_algorithm_takes_the_gap_off_the_reward(monkeypatch):
    from rlplug.data import TransitionBatch
    from rlplug.protocols import AgentContext
    from rlplug.seeding import Seeds

    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = importlib.import_module("advantage_learning")
    del sys.modules["advantage_learning"]  # other tests load files of this name
    box = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    context = AgentContext(box, gymnasium.spaces.Discrete(2), 1000, Seeds(0))
    agent = example.build_agent(example.AdvantageLearningConfig(action_gap=0.5), context)

    class Fixed:
        def q_values(self, observation):
            return torch.tensor([[1.0, 4.0], [1.0, 4.0]])

    observation = torch.zeros(2, 2)
    action, reward, ones = torch.tensor([0, 1]), torch.tensor([10.0, 10.0]), torch.ones(2)
    batch = TransitionBatch(observation, action, reward, ones, observation, ones, action)
    next_policy, shaped = agent.bootstrap(Fixed(), Fixed(), batch, torch.tensor([[0.0, 1.0]] * 2))
    assert shaped.tolist() == [8.5, 10.0]  # 10 - 0.5 * (4 - 1); the best action loses nothing
    assert next_policy.probs.tolist() == [[0.0, 1.0]] * 2


def test_resume_continues_one_history(run, tmp_path):
    out = run(str(EXAMPLES / "resume.py"), "2400")
    (record,) = records(tmp_path)
    assert record["state"] == "finished"
    assert record["env_steps"] >= 2400
    (file,) = tmp_path.glob("runs/*/*/*/metrics.jsonl")
    lines = file.read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if "updates" in row]
    steps = [row["env_steps"] for row in rows]
    stopped_at = int(re.findall(r"after the first part: +(\d+)", out)[0])
    assert stopped_at in steps[:-1]
    assert steps == sorted(set(steps))
    (config,) = tmp_path.glob("runs/*/*/*/config.yaml")
    train = yaml.safe_load(config.read_text())["train"]
    due = (steps[-1] - train["warmup_env_steps"]) * train["updates_per_env_step"]
    assert rows[-1]["updates"] == int(due) > 0


def test_eight_workers_make_as_many_updates_as_one(run, tmp_path):
    out = run(str(EXAMPLES / "eight_workers.py"), "1296", "local")
    one, eight = (line.split() for line in out.splitlines() if "updates, mean return" in line)
    assert (one[0], eight[0]) == ("1", "8")
    assert one[4] == eight[4]
    assert int(one[4]) > 0
    alone, together = records(tmp_path)
    assert alone["env_steps"] == together["env_steps"] == 1296
    (config,) = (
        text
        for file in tmp_path.glob("runs/*/*/*/config.yaml")
        if "workers: 8" in (text := file.read_text())
    )
    assert "steps: 1296" in config


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_shows_one_idea(file):
    assert file.read_text().count("\n") <= 60
    assert file.stem in Path(__file__).read_text()  # another test runs it
