from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

REPORT = {
    "algorithm": "dqn",
    "environment": "cartpole",
    "checkpoint": "somewhere",
    "mean_return": 487.2,
    "std_return": 12.4,
    "episodes": 3,
    "env_steps": 1500,
    "returns": [470.0, 490.0, 500.0],
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `evaluate_run` is called with."""
    noted: list[Any] = []

    def evaluate_run(run_dir: Path, **options: Any) -> Any:
        noted.append((run_dir, options))
        return SimpleNamespace(to_dict=lambda: REPORT)

    monkeypatch.setitem(sys.modules, "rlplug.evaluate", SimpleNamespace(evaluate_run=evaluate_run))
    return noted


def test_the_defaults_are_the_last_policy_greedy_over_50_episodes(
    cli: Any, calls: list[Any]
) -> None:
    outcome = cli("eval somewhere")
    assert outcome.code == 0
    assert calls == [
        (
            Path("somewhere"),
            {
                "episodes": 50,
                "seed": None,
                "checkpoint": "last",
                "mode": "greedy",
                "device": "cpu",
                "render": False,
                "video": None,
                "evaluation_set": None,
            },
        )
    ]
    assert "487.2 ± 12.4 over 3 episodes" in outcome.out
    assert "470.0 to 500.0" in outcome.out


def test_every_option_is_passed_on(cli: Any, calls: list[Any]) -> None:
    cli(
        "eval somewhere --episodes 3 --seed 7 --checkpoint a/b --mode sample --device cuda "
        "--render --video out.mp4 --set all-levels"
    )
    assert calls[0][1] == {
        "episodes": 3,
        "seed": 7,
        "checkpoint": Path("a/b"),
        "mode": "sample",
        "device": "cuda",
        "render": True,
        "video": Path("out.mp4"),
        "evaluation_set": "all-levels",
    }


def test_each_evaluation_set_has_its_lines(
    cli: Any, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"mean_return": 7.5, "std_return": 1.0, "episodes": 2, "returns": [6.5, 8.5]}
    unseen = seen | {"mean_return": 5.0, "returns": [4.0, 6.0], "normalized_score": 0.125}
    monkeypatch.setitem(REPORT, "sets", {"seen": seen, "unseen": unseen})
    lines = cli("eval somewhere").out.splitlines()
    assert lines[2:] == [
        "Return on seen     7.5 ± 1.0 over 2 episodes",
        "Range on seen      6.5 to 8.5",
        "Return on unseen   5.0 ± 1.0 over 2 episodes (normalised 0.125)",
        "Range on unseen    4.0 to 6.0",
    ]


def test_json_is_the_report(cli: Any, calls: list[Any]) -> None:
    assert json.loads(cli("eval somewhere --json --checkpoint best").out) == REPORT
    assert calls[0][1]["checkpoint"] == "best"


def test_last_is_the_newest_run(cli: Any, calls: list[Any], tmp_path: Path) -> None:
    import os

    for age, name in enumerate(("new", "old")):
        folder = tmp_path / "runs" / "cartpole" / "dqn" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
        os.utime(folder / "config.yaml", (1e9 - age, 1e9 - age))
    cli("eval last")
    assert calls[0][0] == Path("runs/cartpole/dqn/new")


@pytest.mark.parametrize("line", ["--episodes 0", "--episodes many", "--seed -1", "--mode best"])
def test_a_bad_option_is_exit_2(cli: Any, calls: list[Any], line: str) -> None:
    outcome = cli(f"eval somewhere {line}")
    assert outcome.code == 2
    assert line.split(maxsplit=1)[0] in outcome.err
    assert not calls
