import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlplug.tracking.progress import Progress, duration, number, score


def test_the_line_tells_everything_that_is_known(clock, metrics, report):
    progress = Progress(50_000, clock=clock)
    progress.evaluated(10_000, report)
    progress.report(12_000, metrics)

    assert progress.line() == (
        "  12,000/50,000  24%  3,412 steps/s  left 0:11  return 87.3 (last 20)"
        "  evaluation 120.4 ± 8.1  loss 0.0312"
    )


def test_whole_vector_steps_beyond_the_end_are_no_more_than_all(clock):
    progress = Progress(300, clock=clock)
    progress.advance(304)

    assert (progress.steps(), progress.percent()) == ("304/300", "100%")


def test_what_is_not_known_yet_is_left_out_and_never_printed_as_nan(clock):
    progress = Progress(50_000, clock=clock)
    progress.report(500, {"loss": math.nan, "episode_return": math.nan, "episodes": 0})

    assert progress.line() == "     500/50,000   1%"


def test_before_the_first_report_the_speed_is_that_of_all_steps_so_far(clock, episode):
    progress = Progress(10_000, start_env_steps=4_000, clock=clock)
    clock.now += 2.0
    progress.episode(episode(env_steps=5_000))

    assert progress.steps_per_second == 500.0
    assert progress.seconds_left == 10.0


def test_the_recent_return_is_the_mean_of_the_last_hundred_episodes(clock, episode):
    progress = Progress(10_000, clock=clock)
    for value in range(150):
        progress.episode(episode(episode_return=float(value), env_steps=value))

    assert progress.recent_return == (sum(range(50, 150)) / 100, 100)
    assert progress.env_steps == 149


def test_a_resumed_run_shows_the_return_over_the_episodes_that_its_reports_know(clock, episode):
    progress = Progress(10_000, start_env_steps=5_000, clock=clock)
    progress.report(5_100, {"episode_return": 40.0, "episodes": 100})
    progress.episode(episode(episode_return=0.0, env_steps=5_150))

    assert progress.recent_return == (40.0, 100)


def test_losses_of_every_agent_are_told_and_other_metrics_kept_apart(clock):
    progress = Progress(100, clock=clock)
    progress.report(10, {"actor_loss": 1.5, "critic/loss": 2.5, "glossy": 3.0, "updates": 4})

    assert progress.losses == {"actor_loss": 1.5, "critic/loss": 2.5}
    assert progress.other_metrics == {"glossy": 3.0}
    assert progress.line().endswith("  actor_loss 1.5  critic/loss 2.5")


def test_steps_beyond_the_total_leave_no_time_and_no_negative_time(clock):
    progress = Progress(1_000, clock=clock)
    progress.report(1_004, {"steps_per_second": 10.0})

    assert progress.line() == "  1,004/1,000  100%  10 steps/s  left 0:00"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00"), (59.6, "1:00"), (723, "12:03"), (11045, "3:04:05"), (183845, "2d 03:04:05")],
)
def test_durations_read_like_a_clock(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(120.44, "120.4"), (-12345.678, "-12,345.7"), (0.0, "0.0"), (-0.01234, "-0.0123")],
)
def test_returns_are_told_to_one_decimal_and_small_ones_to_three_digits(value, text):
    assert score(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.03123, "0.0312"), (10_000, "10,000"), (999.7, "1,000"), (12345.6, "12,346"),
     (1e-9, "1e-09"), (123_456_789, "1.23e+08")],
)  # fmt: skip
def test_metrics_are_told_to_three_digits(value, text):
    assert number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_metric_fits_into_ten_characters(value):
    assert len(number(value)) <= 10
