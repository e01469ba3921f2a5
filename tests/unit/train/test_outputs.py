"""Who is told of what, told by one tape."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlplug.checkpoint import CheckpointInfo
from rlplug.checkpoint.background import BackgroundCall
from rlplug.config import CheckpointConfig
from rlplug.evaluate import EvaluationReport
from rlplug.train.outputs import Outputs


class Tape:
    """Notes every call to it, under its name."""

    def __init__(self, name: str, calls: list[tuple[Any, ...]], answers: dict[str, Any]) -> None:
        self._name, self._calls, self._answers = name, calls, answers

    def __getattr__(self, method: str) -> Any:
        def note(*arguments: Any, **named: Any) -> Any:
            self._calls.append((f"{self._name}.{method}", *arguments, *named.values()))
            return self._answers.get(method)

        return note


@pytest.fixture
def calls() -> list[tuple[Any, ...]]:
    return []


def outputs(calls: list[tuple[Any, ...]], *, resume_at: int = 0) -> Outputs:
    def part(name: str, **answers: Any) -> Any:
        return Tape(name, calls, answers)

    folder = part("folder")
    folder.path = Path("runs/x")
    trackers = part("trackers")
    trackers.console, trackers.problems = part("console"), []
    return Outputs(
        folder,
        trackers=trackers,
        checkpoints=part(
            "checkpoints", begin=BackgroundCall(lambda: Path("runs/x/checkpoints/step-7"))
        ),
        config=CheckpointConfig(),
        hooks=part(
            "hooks", iteration_ended="enough", evaluation_ended=True, state_dict={"best": 3}
        ),
        about=CheckpointInfo(env_steps=resume_at, algorithm="dqn"),
    )


def test_an_iteration_moves_the_display_and_asks_the_hooks(calls: list[Any]) -> None:
    out = outputs(calls)
    assert out.iteration_ended(5, 2) == "enough"
    assert out.env_steps == 5
    assert calls == [("trackers.advance", 5), ("hooks.iteration_ended", (5, 2))]


def test_a_resumed_run_says_where_it_goes_on(calls: list[Any]) -> None:
    config: Any = SimpleNamespace()
    outputs(calls).started(config)
    assert calls == [("hooks.run_started", (Path("runs/x"), config, 0))]
    calls.clear()
    outputs(calls, resume_at=1200).started(config)
    assert calls[0] == ("trackers.message", "resumed at 1,200 environment steps")
    assert calls[1][1].env_steps == 1200


def test_a_checkpoint_is_recorded_with_the_newest_evaluation_then_told(calls: list[Any]) -> None:
    out = outputs(calls)
    report = EvaluationReport([1.0, 3.0], [4, 5], 0.1)
    assert out.evaluated(7, 3, report) is True
    out.save({"agent": {}}, env_steps=7, updates=3, mean_return=2.0)
    out.saving.wait()
    assert out.saving.last == Path("runs/x/checkpoints/step-7")
    names = [call[0] for call in calls]
    assert names == [
        "trackers.evaluation", "hooks.evaluation_ended", "trackers.catch_up", "hooks.state_dict",
        "checkpoints.begin", "folder.update", "hooks.checkpoint_saved",
    ]  # fmt: skip
    _, state, info = calls[4]
    assert state == {"agent": {}, "hooks": {"best": 3}}
    assert (info.algorithm, info.env_steps, info.updates, info.mean_return) == ("dqn", 7, 3, 2.0)
    assert calls[5] == ("folder.update", 7, report.to_dict())


def test_without_an_evaluation_the_record_keeps_the_one_it_has(calls: list[Any]) -> None:
    out = outputs(calls, resume_at=3)
    out.save({}, env_steps=7, updates=3, mean_return=None)
    out.saving.wait()
    assert calls[3] == ("folder.update", 7)


def test_hooks_continue_with_the_state_of_a_checkpoint(calls: list[Any]) -> None:
    outputs(calls).restore_hooks({"best": 3})
    assert calls == [("hooks.load_state_dict", {"best": 3})]


@pytest.mark.parametrize("outcome", ["finished", "stopped", "interrupted", "failed"])
def test_the_end_is_told_to_the_hooks_and_a_bad_one_to_the_log(
    calls: list[Any], outcome: Any
) -> None:
    out = outputs(calls)
    out.iteration_ended(5, 2)
    calls.clear()
    out.ended(outcome, "why")
    is_bad = outcome in {"interrupted", "failed"}
    assert calls[:-1] == ([("console.note", "why")] if is_bad else [])
    assert calls[-1] == ("hooks.run_finished", (5, outcome, "why"))


def test_the_files_are_complete_before_the_summary_is_shown(calls: list[Any]) -> None:
    outputs(calls).completed(2.0, "a hook")
    assert [call[0] for call in calls] == ["trackers.close", "console.summary"]
    assert "stopped by   a hook" in calls[1][1]
