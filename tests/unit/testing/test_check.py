from __future__ import annotations

from typing import Any

import pytest

from rlplug.testing.check import (
    Check,
    Checks,
    NonConformanceError,
    NotApplicableError,
    bind,
    require,
)


def outcome(function: Any, expected_failure: str = "") -> Any:
    return Check("it", "a fact", "proof", "fast", expected_failure, function).run()


def failing() -> None:
    require(False, "It is wrong; mend it.")


def test_what_comes_of_a_check() -> None:
    def skips() -> None:
        raise NotApplicableError("no images")

    def crashes() -> None:
        raise RuntimeError("two\nlines")

    assert outcome(lambda: None)[4:7:2] == ("passed", "")
    assert outcome(lambda: "12 ms")[4:7:2] == ("passed", "12 ms")
    assert outcome(failing)[4:7:2] == ("failed", "It is wrong; mend it.")
    assert outcome(skips)[4:7:2] == ("skipped", "no images")
    crashed = outcome(crashes)
    assert crashed[4:7:2] == ("failed", "It raised RuntimeError: two lines")
    assert "in crashes" in crashed.traceback
    assert [one.is_failure for one in (crashed, outcome(failing), outcome(skips))] == [1, 1, 0]


def test_an_expected_failure_that_passes_is_a_failure() -> None:
    fails, passes = outcome(failing, "not yet"), outcome(lambda: None, "not yet")
    assert (fails.status, fails.reason) == ("expected-failure", "not yet (It is wrong; mend it.)")
    assert not fails.is_failure
    assert passes.status == "unexpected-pass"
    assert passes.is_failure
    assert "take it out" in passes.reason


def test_the_cause_of_a_failure_is_kept() -> None:
    def fails() -> None:
        try:
            {}["lost"]
        except KeyError as error:
            raise NonConformanceError("It lost a key.") from error

    result = outcome(fails)
    assert result.reason == "It lost a key."
    assert "KeyError: 'lost'" in result.traceback


def test_checks_of_a_tier_are_bound_to_their_subject() -> None:
    checks = Checks()

    @checks.add("is even")
    def is_even(subject: int) -> None:
        """Two divides
        it."""
        require(subject % 2 == 0, f"{subject} is odd.")

    @checks.add("is large", tier="learns")
    def is_large(subject: int) -> str:
        """It is large."""
        return f"{subject} is large enough"

    fast = bind(checks, 3, name="three", tier="fast", expected_failures={})
    assert [one.name for one in fast] == ["is even"]
    assert fast[0].proves == "Two divides it."
    assert fast[0].run().reason == "3 is odd."
    both = bind(checks, 4, name="four", tier="learns", expected_failures={"is large": "small"})
    assert [one.run().status for one in both] == ["passed", "unexpected-pass"]


def test_an_expected_failure_of_no_check_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['is red'\] fail, and there is no such check"):
        bind(Checks(), 1, name="one", tier="fast", expected_failures={"is red": "why"})
