"""When the built-in hook asks for the end of a run, and how that survives a resume."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rlplug.config import StopConfig
from rlplug.registry.hookspecs import EvaluationEnded, IterationEnded, RunStarted
from rlplug.train.early_stopping import EarlyStopping

ITERATION = IterationEnded(10, 2)


def started(*, now: list[float] | None = None, **settings: Any) -> EarlyStopping:
    clock = now or [0.0]
    hook = EarlyStopping(clock=lambda: clock[0])
    config: Any = SimpleNamespace(stop=StopConfig(**settings))
    folder: Any = None
    hook.rlplug_run_started(RunStarted(folder, config, 0))
    return hook


def answers(hook: EarlyStopping, *returns: float) -> list[str | None]:
    """What it says after each of these evaluations."""
    said = []
    for one in returns:
        hook.rlplug_evaluation_ended(EvaluationEnded(10, 2, (one,)))
        said.append(hook.rlplug_iteration_ended(ITERATION))
    return said


def test_without_settings_it_never_stops() -> None:
    assert answers(started(), 1.0, 1e9, 0.0, 0.0) == [None] * 4


def test_target_stops_at_the_first_evaluation_that_reaches_it() -> None:
    assert answers(started(target_return=475), 474.9, 475.0) == [
        None,
        "return 475.0 reached the target of 475.0",
    ]


def test_plateau_counts_evaluations_that_are_no_better_than_the_best() -> None:
    said = answers(started(patience_evaluations=2), 5.0, 4.0, 6.0, 6.0, 5.9)
    assert said[:4] == [None] * 4
    assert said[4] == "2 evaluations in a row were no better than 6.0"


def test_improvement_below_the_least_one_is_none() -> None:
    hook = started(patience_evaluations=2, min_improvement=1.0)
    assert answers(hook, 5.0, 5.9, 6.0)[2] is not None
    hook = started(patience_evaluations=2, min_improvement=1.0)
    assert answers(hook, 5.0, 5.9, 6.1)[2] is None


def test_time_limit_counts_what_went_before_a_resume() -> None:
    now = [100.0]
    first = started(now=now, max_seconds=60)
    now[0] += 59
    assert first.rlplug_iteration_ended(ITERATION) is None
    state = first.state_dict()
    now[0] = 5000.0
    second = started(now=now, max_seconds=60)
    second.load_state_dict(state)
    now[0] += 0.5
    assert second.rlplug_iteration_ended(ITERATION) is None
    now[0] += 0.5
    assert second.rlplug_iteration_ended(ITERATION) == "the time limit of 60 seconds"


def test_plateau_goes_on_over_a_resume() -> None:
    first = started(patience_evaluations=3)
    answers(first, 5.0, 4.0, 4.0)
    second = started(patience_evaluations=3)
    second.load_state_dict(first.state_dict())
    assert answers(second, 4.0)[0] is not None


def test_a_run_that_was_stopped_may_go_on_to_its_next_evaluation() -> None:
    first = started(target_return=3)
    assert answers(first, 4.0)[0] is not None
    second = started(target_return=3)
    second.load_state_dict(first.state_dict())
    assert second.rlplug_iteration_ended(ITERATION) is None
    assert answers(second, 4.0)[0] is not None
