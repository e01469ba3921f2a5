"""An algorithm and an environment in one file, given by `--plugin`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOY = Path(__file__).parent / "rlplug-toy" / "src" / "rlplug_toy"
SPECS = """
from rlplug.specs import AlgorithmSpec, EnvironmentSpec

ALGORITHM = AlgorithmSpec(
    name="my-q", summary="Mine", paper="none", config="my_q:ToyQConfig", agent="my_q:ToyQAgent",
    policy="my_q:ToyQPolicy", observation_spaces=("box",), action_spaces=("discrete",),
    defaults={"train": {"warmup_env_steps": 50}, "agent": {"learning_rate": 0.5}},
)
CORRIDOR = EnvironmentSpec(name="my-corridor", summary="Mine", make="my_q:Corridor")
"""


@pytest.fixture(scope="module")
def rlplug(tmp_path_factory):
    """Runs the `rlplug` command beside `my_q.py`."""
    folder = tmp_path_factory.mktemp("file")
    parts = [(TOY / name).read_text() for name in ("agent.py", "config.py", "corridor.py")]
    future = "from __future__ import annotations\n"
    code = "\n".join(part.replace(future, "") for part in (*parts, SPECS))
    (folder / "my_q.py").write_text(f"{future}{code}")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "rlplug", *arguments],
            cwd=folder,
            env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.folder = folder
    return run


def test_it_is_listed_with_its_options(rlplug):
    plugin = ("--plugin", "./my_q.py")
    names = [row["name"] for row in json.loads(rlplug("list", "--json", *plugin))["algorithms"]]
    assert {"my-q", "dqn"} <= set(names)
    options = [line.split() for line in rlplug("info", "my-q", *plugin).splitlines()]
    assert ["--agent.learning_rate", "0.5"] in [words[:2] for words in options]


def test_it_trains_and_is_evaluated(rlplug):
    plugin = ("--plugin", "./my_q.py")
    rlplug("train", "my-q", "my-corridor", "--steps", "500", "--run-dir", "runs", *plugin)
    (config,) = (rlplug.folder / "runs").rglob("config.yaml")
    report = rlplug("eval", str(config.parent), "--episodes", "5", "--json", *plugin)
    assert json.loads(report)["mean_return"] == pytest.approx(0.5)


def test_environments_of_their_own_process_find_it(rlplug):
    plugin = ("--plugin", "./my_q.py", "--env.vectorize", "async", "--launcher", "local")
    plugin += ("--workers", "2")
    briefly = ("--steps", "100", "--evaluate.num_envs", "1", "--evaluate.final_episodes", "1")
    done = rlplug("train", "my-q", "my-corridor", "--run-dir", "async", "--json", *plugin, *briefly)
    assert json.loads(done)["env_steps"] == 100
    (config,) = (rlplug.folder / "async").rglob("config.yaml")
    assert "vectorize: async" in config.read_text()
