"""An environment with several evaluation sets, from training to `rlplug eval --set`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rlplug.registry import discovery
from rlplug.specs import EnvironmentSpec, ScoreRange

if TYPE_CHECKING:
    from pathlib import Path

PAYDAY = EnvironmentSpec(
    name="payday",
    summary="Pays what it is told to",
    make="payday:Payday",
    kwargs={"currency": "beans"},
    evaluation_kwargs={"wage": 9.0},
    evaluation_sets={"poor": {"wage": 2.0}, "rich": {"wage": 4.0}, "as-it-is": {}},
    score_ranges=(ScoreRange(low=5, high=25, where={"max_episode_steps": None}),),
)
RETURNS = {"poor": 10.0, "rich": 20.0, "as-it-is": 45.0}


@pytest.fixture
def run(lab: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of dqn on payday, whose evaluations pay another wage in each set."""
    monkeypatch.setattr(discovery, "resolve_environment", {"payday": PAYDAY}.get)
    path: Path = lab.train("dqn payday --steps 200")
    return path


def test_every_set_is_evaluated_and_the_first_is_the_evaluation(lab: Any, run: Path) -> None:
    rows = [row for row in lab.rows(run) if "evaluation/mean_return" in row]
    assert len(rows) == 10
    for row in rows:
        assert row["evaluation/mean_return"] == 10.0
        for name, expected in RETURNS.items():
            assert row[f"evaluation/{name}/mean_return"] == expected
            assert row[f"evaluation/{name}/std_return"] == 0.0
            assert row[f"evaluation/{name}/normalized_score"] == (expected - 5) / 20
    assert [row["evaluation/rich/episodes"] for row in rows] == [2] * 9 + [4]
    record = lab.record(run)["evaluation"]
    assert record["mean_return"] == 10.0
    assert record["sets"]["rich"]["returns"] == [20.0] * 4
    log = (lab.folder / run / "console.log").read_text()
    assert "on rich: 20.0 ± 0.0 over 2 episodes (normalised 0.75)" in log
    assert "evaluation   10.0 ± 0.0 over 4 episodes (normalised 0.25) on poor" in log


def test_eval_plays_all_sets_or_the_one_that_is_named(lab: Any, run: Path) -> None:
    report = json.loads(lab("eval last --episodes 3 --json").out)
    assert {name: one["returns"] for name, one in report["sets"].items()} == {
        name: [expected] * 3 for name, expected in RETURNS.items()
    }
    assert report["returns"] == [10.0] * 3
    report = json.loads(lab("eval last --episodes 3 --set rich --json").out)
    assert report["returns"] == [20.0] * 3
    assert report["normalized_score"] == 0.75
    assert list(report["sets"]) == ["rich"]
    shown = lab("eval last --episodes 2").out
    assert "Return on as-it-is" in shown


def test_a_set_that_is_not_there_is_refused_with_those_that_are(lab: Any, run: Path) -> None:
    outcome = lab("eval last --set all")
    assert outcome.code == 2
    assert "no evaluation set 'all' of payday; there is: poor, rich, as-it-is." in outcome.err


def test_an_environment_without_sets_says_so(lab: Any) -> None:
    lab.train("dqn cartpole --steps 100")
    outcome = lab("eval last --set all")
    assert outcome.code == 2
    assert "of cartpole; there is: none; leave the set out." in outcome.err
