from __future__ import annotations

import numpy as np
import pytest

from rlplug.statistics import interquartile_mean, summarise


def test_the_interquartile_mean_leaves_out_a_quarter_at_either_end() -> None:
    assert interquartile_mean(np.array([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -90.0])) == 3.5


def test_of_five_runs_the_middle_three_count() -> None:
    assert interquartile_mean(np.array([0.0, 10.0, 20.0, 30.0, 1000.0])) == 20.0


def test_of_fewer_than_four_runs_all_count() -> None:
    assert interquartile_mean(np.array([1.0, 2.0, 6.0])) == 3.0


def test_the_spread_is_that_of_a_sample() -> None:
    summary = summarise([1.0, 3.0])
    assert (summary.mean, summary.std) == (2.0, pytest.approx(2.0**0.5))


def test_a_single_run_has_no_interval() -> None:
    assert summarise([7.0]) == (7.0, 0.0, 7.0, None)


def test_equal_runs_have_an_interval_without_width() -> None:
    assert summarise([5.0] * 5).interval == (5.0, 5.0)


def test_the_interval_holds_the_figure_and_is_the_same_each_time() -> None:
    values = [480.0, 500.0, 455.0, 500.0, 490.0]
    first, second = summarise(values), summarise(values)
    assert first == second
    low, high = first.interval or (0.0, 0.0)
    assert 455.0 <= low <= first.interquartile_mean <= high <= 500.0


def test_two_runs_have_the_interval_that_counting_gives() -> None:
    # Of the four equally likely resamples of (0, 1), the means are 0, 1/2, 1/2, 1.
    assert summarise([0.0, 1.0]).interval == (0.0, 1.0)


def test_no_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        summarise([])
