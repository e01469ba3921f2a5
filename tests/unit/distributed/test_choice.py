"""Which launcher and how many workers, from what was asked for or measured."""

from __future__ import annotations

from typing import Any

import pytest

from rlplug.distributed import choice
from rlplug.distributed.choice import StepCost, measure, settle
from rlplug.errors import ConfigError
from rlplug.resolve import resolve

SLOW = StepCost(wall=0.01, cpu=0.0)
FAST = StepCost(wall=1e-5, cpu=1e-5)


def settled(cost: StepCost | None = None, **settings: Any) -> tuple[Any, str]:
    resolved = resolve("dqn", "cartpole", **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "measure", lambda _: cost)
        patch.setattr(choice, "usable_cores", lambda: 2)
        resolved, line = settle(resolved)
    return resolved.config.launch, line


@pytest.mark.parametrize(
    ("settings", "launcher"),
    [
        ({}, "local"),
        ({"workers": 1}, "local"),
        ({"workers": 2}, "ray"),
        ({"workers": 8, "launcher": "local"}, "local"),
        ({"launcher": "ray"}, "ray"),
        ({"mode": "async"}, "ray"),
        ({"cluster": "auto"}, "ray"),
    ],
)
def test_nothing_is_measured_where_nothing_was_left_open(
    settings: dict[str, Any], launcher: str
) -> None:
    launch, line = settled(None, **settings)
    assert (launch.launcher, line) == (launcher, "")
    assert launch.is_settled


def test_workers_pay_for_a_slow_environment_and_not_for_a_fast_one() -> None:
    launch, line = settled(SLOW, workers=8, launcher="auto")
    assert (launch.launcher, launch.workers) == ("ray", 8)
    assert line.startswith("ray launcher: a step of cartpole takes 10.0 ms, so about 100 steps/s")
    launch, line = settled(FAST, workers=8, launcher="auto")
    assert (launch.launcher, launch.total_envs) == ("local", 8)
    assert "takes 10 µs" in line


def test_the_number_of_workers_follows_from_cores_and_waiting() -> None:
    assert settled(SLOW, workers="auto")[0].workers == 8  # the preset's environments, one each
    busy = StepCost(wall=0.01, cpu=0.01)
    assert settled(busy, workers="auto")[0].workers == 2  # one for each core
    launch, _ = settled(FAST, workers="auto")
    assert (launch.launcher, launch.workers, launch.total_envs) == ("local", 1, 8)


def test_async_takes_ray_whatever_is_measured() -> None:
    launch, _ = settled(FAST, workers="auto", mode="async")
    assert launch.launcher == "ray"


def test_the_step_that_is_measured_is_the_environments() -> None:
    cost = measure(resolve("dqn", "cartpole"))
    assert 0 < cost.wall < 0.1
    assert cost.cpu <= cost.wall * 1.5


@pytest.mark.parametrize("settings", [{"mode": "async"}, {"cluster": "auto"}])
def test_what_only_workers_can_is_refused_without_them(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="needs the launcher ray"):
        resolve("dqn", "cartpole", launcher="local", **settings)
