from __future__ import annotations

import math
from itertools import pairwise

import pytest

from rlplug.config import (
    ConstantSchedule,
    ExponentialSchedule,
    LinearSchedule,
    PiecewiseSchedule,
)
from rlplug.ops.schedules import learning_rate_factor, schedule_value


def test_constant_schedule_never_moves():
    schedule = ConstantSchedule(value=0.3)
    assert [schedule_value(schedule, step, 100) for step in (0, 50, 1000)] == [0.3, 0.3, 0.3]


def test_linear_schedule_spans_its_fraction_of_the_run_then_stays():
    schedule = LinearSchedule(start=1.0, end=0.0, fraction=0.5)
    values = [schedule_value(schedule, step, 200) for step in (0, 25, 50, 100, 150, 200)]
    assert values == [1.0, 0.75, 0.5, 0.0, 0.0, 0.0]


def test_linear_schedule_in_env_steps_ignores_the_length_of_the_run():
    schedule = LinearSchedule(start=0.0, end=2.0, env_steps=10)
    assert [schedule_value(schedule, 5, total) for total in (7, 10, 10**6)] == [1.0, 1.0, 1.0]
    assert schedule_value(schedule, 11, 10**6) == 2.0


def test_linear_schedule_still_ends_when_warm_up_outlasts_it():
    # rlpyt's epsilon stayed at its start for the whole run when learning began after the schedule
    schedule = LinearSchedule(start=1.0, end=0.05, env_steps=100)
    first_update_at = 1_000
    assert schedule_value(schedule, first_update_at, 10_000) == 0.05


def test_exponential_schedule_halves_the_distance_every_half_life():
    schedule = ExponentialSchedule(start=1.0, end=0.2, half_life_env_steps=10)
    values = [schedule_value(schedule, step, 1) for step in (0, 10, 20, 30)]
    assert values == pytest.approx([1.0, 0.6, 0.4, 0.3])


def test_piecewise_schedule_goes_through_its_points_and_is_flat_outside():
    schedule = PiecewiseSchedule(points=((10, 1.0), (20, 0.5), (40, 0.1)))
    values = [schedule_value(schedule, step, 1) for step in (0, 10, 15, 20, 30, 40, 99)]
    assert values == pytest.approx([1.0, 1.0, 0.75, 0.5, 0.3, 0.1, 0.1])


def test_piecewise_schedule_of_one_point_is_constant():
    schedule = PiecewiseSchedule(points=((10, 0.7),))
    assert [schedule_value(schedule, step, 1) for step in (0, 10, 20)] == [0.7, 0.7, 0.7]


@pytest.mark.parametrize("decay", ["linear", "cosine", "square-root"])
def test_decays_start_at_one_never_rise_and_end_at_the_final_fraction(decay):
    factors = [learning_rate_factor(decay, 0.1, step / 50) for step in range(51)]
    assert factors[0] == 1.0
    assert factors[-1] == pytest.approx(0.1)
    assert all(later < earlier for earlier, later in pairwise(factors))


def test_decays_at_half_of_the_run():
    assert learning_rate_factor("constant", 0.0, 0.5) == 1.0
    assert learning_rate_factor("linear", 0.2, 0.5) == pytest.approx(0.6)
    assert learning_rate_factor("cosine", 0.0, 0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert learning_rate_factor("square-root", 0.0, 0.75) == pytest.approx(0.5)


def test_decay_stays_at_its_end_when_the_run_goes_on():
    assert learning_rate_factor("linear", 0.25, 1.7) == pytest.approx(0.25)
