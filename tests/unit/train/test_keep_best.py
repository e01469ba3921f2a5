"""Which evaluations the built-in hook wants saved."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rlplug.config import CheckpointConfig
from rlplug.registry.hookspecs import EvaluationEnded, RunStarted
from rlplug.train.keep_best import KeepBest


def started(*, keep_best: bool = True) -> KeepBest:
    hook = KeepBest()
    config: Any = SimpleNamespace(checkpoint=CheckpointConfig(keep_best=keep_best))
    folder: Any = None
    hook.rlplug_run_started(RunStarted(folder, config, 0))
    return hook


def wanted(hook: KeepBest, *returns: float) -> list[bool]:
    return [hook.rlplug_evaluation_ended(EvaluationEnded(1, 1, (one,))) for one in returns]


def test_each_new_best_is_wanted_and_an_equal_one_is_not() -> None:
    assert wanted(started(), 5.0, 4.0, 5.0, 6.0) == [True, False, False, True]


def test_nothing_is_wanted_where_the_setting_is_off() -> None:
    assert wanted(started(keep_best=False), 5.0, 6.0) == [False, False]


def test_a_resumed_run_knows_the_best_of_before() -> None:
    first, second = started(), started()
    wanted(first, 5.0)
    second.load_state_dict(first.state_dict())
    assert wanted(second, 4.0, 6.0) == [False, True]
