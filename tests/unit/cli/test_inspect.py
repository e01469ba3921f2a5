from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rlplug.checkpoint import CheckpointInfo, save_checkpoint
from rlplug.resolve import resolve
from rlplug.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """Two checkpoints, of which the first is the better one."""
    run = RunFolder.create(
        tmp_path / "runs",
        resolve("dqn", "cartpole", seed=3).config,
        command=["rlplug", "train"],
        versions={"rlplug-toy": "1.0"},
    )
    for env_steps, score in ((100, 40.0), (200, 7.5)):
        info = CheckpointInfo(
            env_steps=env_steps, updates=9, algorithm="dqn", environment="cartpole",
            mean_return=score, versions={"rlplug-toy": "1.0"},
        )  # fmt: skip
        state = {"agent": {"w": np.zeros((2, 3), np.float32), "n": 1}, "trainer": {}}
        save_checkpoint(run.checkpoints, state, info=info)
    run.update(env_steps=200)
    yield run
    run.close()


def test_a_checkpoint_tells_what_it_holds(cli: Any, run: RunFolder) -> None:
    path = run.checkpoints / "step-000000100"
    report = json.loads(cli(f"inspect {path} --json").out)
    assert (report["env_steps"], report["updates"], report["mean_return"]) == (100, 9, 40.0)
    assert report["versions"]["rlplug-toy"] == "1.0"
    assert len(report["sha256"]) == 64
    agent = report["components"]["agent"]
    assert agent["arrays"] == {"w": {"dtype": "F32", "shape": [2, 3]}}
    assert agent["numbers"] == 6
    text = cli(f"inspect {path}").out
    for words in ("dqn on cartpole", "100 environment steps, 9 updates", "40.0", report["sha256"]):
        assert words in text


@pytest.mark.parametrize(
    ("what", "steps"), [("last:best", 100), ("last:last", 200), ("last:step-000000100", 100)]
)
def test_a_checkpoint_is_named_as_init_from_names_it(
    cli: Any, run: RunFolder, what: str, steps: int
) -> None:
    assert json.loads(cli(f"inspect {what} --json").out)["env_steps"] == steps
    by_path = json.loads(cli(f"inspect {what.replace('last', str(run.path), 1)} --json").out)
    assert by_path["env_steps"] == steps
    wrong = cli("inspect last:worst")
    assert wrong.code == 1
    assert "has no checkpoint 'worst'" in wrong.err


@pytest.mark.parametrize("levels", range(4))
def test_runs_are_found_from_any_folder_above_them(cli: Any, run: RunFolder, levels: int) -> None:
    root = (run.path, *run.path.parents)[levels]
    (row,) = json.loads(cli(f"runs {root} --json").out)
    assert row["run_dir"] == str(run.path)


def test_a_run_whose_making_was_killed_is_none(cli: Any, run: RunFolder) -> None:
    partial = shutil.copytree(run.path, run.path.with_name(".partial-7-7"))
    os.utime(partial / "config.yaml", (2e9, 2e9))
    assert len(json.loads(cli("runs --json").out)) == 1
    assert json.loads(cli("inspect last --json").out)["run_dir"] == str(
        run.path.relative_to(run.path.parents[3])
    )


def test_a_run_tells_its_state_and_its_checkpoints(cli: Any, run: RunFolder) -> None:
    report = json.loads(cli("inspect last --json").out)
    assert (report["state"], report["seed"], report["command"]) == (
        "running", 3, ["rlplug", "train"],
    )  # fmt: skip
    assert [line["mean_return"] for line in report["checkpoints"]] == [40.0, 7.5]
    run.close()
    (run.checkpoints / "step-000000200" / "manifest.json").write_text("{")
    outcome = cli(f"inspect {run.path}")
    assert outcome.code == 0
    assert "crashed" in outcome.out
    assert "step-000000200/manifest.json cannot be used" in outcome.out


def test_a_damaged_checkpoint_is_an_error_that_names_the_file(cli: Any, run: RunFolder) -> None:
    file = run.checkpoints / "step-000000100" / "agent.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    outcome = cli(f"inspect {file.parent}")
    assert outcome.code == 1
    assert f"{file} cannot be used" in outcome.err


@pytest.mark.parametrize("what", ["nowhere", "last", "."])
def test_what_is_no_run_is_said_so(cli: Any, what: str) -> None:
    outcome = cli(f"inspect {what}")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")


def test_looking_imports_no_torch_and_no_plugin(run: RunFolder) -> None:
    run.close()
    code = (
        "import sys; from rlplug.cli.main import run\n"
        f"assert run(['inspect', {str(run.path)!r}]) == 0\n"
        f"assert run(['inspect', {str(run.checkpoints / 'step-000000100')!r}]) == 0\n"
        f"assert run(['runs', {str(run.path.parents[2])!r}]) == 0\n"
        "assert not {'torch', 'gymnasium', 'ray', 'rlplug.algorithms'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_runs_are_listed_with_their_state_steps_and_best_score(cli: Any, run: RunFolder) -> None:
    (row,) = json.loads(cli("runs --json").out)
    assert (row["state"], row["env_steps"], row["best_return"]) == ("running", 200, 40.0)
    run.close()
    assert json.loads(cli("runs --json").out)[0]["state"] == "crashed"
    for state in ("interrupted", "finished"):
        run.update(state=state, evaluation={"mean_return": 55.5})
        (row,) = json.loads(cli("runs --json").out)
        assert (row["state"], row["best_return"]) == (state, 55.5)
    text = cli("runs").out
    assert "55.5" in text
    assert "finished" in text


def test_a_folder_without_runs_says_how_to_start_one(cli: Any) -> None:
    assert "rlplug train dqn cartpole" in cli("runs").out
    assert json.loads(cli("runs elsewhere --json").out) == []
