"""What environments say of their evaluation."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rlplug.specs import EnvironmentSpec, ScoreRange


def spec(**more: Any) -> EnvironmentSpec:
    return EnvironmentSpec(name="toy", summary="Toy", make="toy:Toy", **more)


def test_a_score_is_0_at_the_low_end_and_1_at_the_high_end() -> None:
    scores = ScoreRange(low=-2, high=6)
    assert [scores.normalize(value) for value in (-2, 0, 6, 10)] == [0, 0.25, 1, 1.5]


@pytest.mark.parametrize("high", [1.0, 0.5])
def test_a_range_that_is_empty_or_upside_down_is_refused(high: float) -> None:
    with pytest.raises(ValidationError, match=f"high is {high}; expected more than low"):
        ScoreRange(low=1, high=high)


def test_the_first_range_that_fits_the_settings_holds() -> None:
    easy = ScoreRange(low=0, high=1, where={"mode": "easy"})
    hard_blind = ScoreRange(low=0, high=2, where={"mode": "hard", "sight": False})
    hard = ScoreRange(low=0, high=3, where={"mode": "hard"})
    toy = spec(score_ranges=(easy, hard_blind, hard))
    assert toy.score_range({"mode": "easy", "sight": True}) is easy
    assert toy.score_range({"mode": "hard", "sight": False}) is hard_blind
    assert toy.score_range({"mode": "hard", "sight": True}) is hard
    assert toy.score_range({"mode": "memory"}) is None
    assert spec().score_range({"mode": "easy"}) is None


def test_a_range_without_conditions_holds_for_any_settings() -> None:
    everywhere = ScoreRange(low=0, high=1)
    assert spec(score_ranges=(everywhere,)).score_range({}) is everywhere


def test_set_names_keep_their_order_and_one_nameless_set_stands_for_none() -> None:
    assert spec().set_names == ("",)
    assert spec(evaluation_sets={"seen": {}, "all-levels": {"num_levels": 0}}).set_names == (
        "seen",
        "all-levels",
    )
    with pytest.raises(ValidationError, match="evaluation_sets"):
        spec(evaluation_sets={"All levels/": {}})  # would not do as the name of a metric
