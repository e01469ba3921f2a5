"""What a check is, and what comes of one."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rlplug.testing.global_state import isolated

if TYPE_CHECKING:
    from collections.abc import Callable

Tier = Literal["fast", "learns"]
"""`fast` takes seconds; `learns` is all of it and whatever takes longer."""
Status = Literal["passed", "failed", "skipped", "expected-failure", "unexpected-pass"]
"""The last is a failure too: what is declared to fail has to fail."""


class NonConformanceError(AssertionError):
    """What is wrong with the subject of a check, and what its author can do, in a sentence."""


class NotApplicableError(Exception):
    """Why a check says nothing of this subject."""


class Check(NamedTuple):
    """One fact about an algorithm or an environment, ready to be tried."""

    subject: str
    """Name of what is checked."""
    name: str
    """The fact, in a few words."""
    proves: str
    """What holds when it passes."""
    tier: Tier
    expected_failure: str
    """Why it is declared to fail; empty where it is not."""
    function: Callable[[], str | None]
    """Raises `NonConformanceError`, or returns a remark, or None."""

    def run(self) -> Result:
        """Try it; whatever it raises becomes a result."""
        began = time.perf_counter()
        status, reason, trace = self._outcome()
        if self.expected_failure and status == "failed":
            status, reason = "expected-failure", f"{self.expected_failure} ({reason})"
        elif self.expected_failure and status == "passed":
            status = "unexpected-pass"
            reason = (
                f"It is declared to fail ({self.expected_failure}) and passes; take it out of "
                "expected_failures."
            )
        return Result(
            self.subject,
            self.name,
            self.proves,
            self.tier,
            status,
            round(time.perf_counter() - began, 3),
            reason,
            trace,
        )

    def _outcome(self) -> tuple[Status, str, str]:
        try:
            with isolated():
                return "passed", self.function() or "", ""
        except NotApplicableError as error:
            return "skipped", str(error), ""
        except NonConformanceError as error:
            cause = error.__cause__
            return "failed", str(error), "".join(traceback.format_exception(cause)) if cause else ""
        except Exception as error:  # noqa: BLE001 - a check ends in a result, whatever happens
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return "failed", f"It raised {reason}", traceback.format_exc()


class Result(NamedTuple):
    """What came of one check."""

    subject: str
    name: str
    proves: str
    tier: Tier
    status: Status
    seconds: float
    reason: str
    """What is wrong, why it was skipped or is expected, or a remark."""
    traceback: str
    """Where it raised something unexpected; empty otherwise."""

    @property
    def is_failure(self) -> bool:
        """Whether the subject does not conform."""
        return self.status in {"failed", "unexpected-pass"}


class CheckFunction(NamedTuple):
    """A check before it has a subject."""

    name: str
    tier: Tier
    function: Callable[[Any], str | None]
    """Of the subject; its docstring says what it proves."""

    @property
    def proves(self) -> str:
        """The docstring, as one line."""
        return " ".join((self.function.__doc__ or "").split())


class Checks(list[CheckFunction]):
    """The checks of one module, in the order they are written."""

    def add(
        self, name: str, *, tier: Tier = "fast"
    ) -> Callable[[Callable[[Any], str | None]], Callable[[Any], str | None]]:
        """Decorate a function of the subject; `name` states the fact."""

        def register(function: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
            self.append(CheckFunction(name, tier, function))
            return function

        return register


def bind(
    functions: list[CheckFunction],
    subject: Any,
    *,
    name: str,
    tier: Tier,
    expected_failures: dict[str, str],
) -> list[Check]:
    """The checks of a tier for one subject.

    Raises:
        ValueError: a declared failure is of no check.
    """
    known = {function.name for function in functions}
    if unknown := sorted(expected_failures.keys() - known):
        msg = (
            f"{name} declares that {unknown} fail, and there is no such check; there are: "
            f"{', '.join(sorted(known))}."
        )
        raise ValueError(msg)
    return [
        Check(
            name,
            one.name,
            one.proves,
            one.tier,
            expected_failures.get(one.name, ""),
            lambda one=one: one.function(subject),  # type: ignore[misc]  # mypy cannot infer it
        )
        for one in functions
        if tier == "learns" or one.tier == "fast"
    ]


def require(holds: object, sentence: str) -> None:
    """Raise `NonConformanceError` unless it holds."""
    if not holds:
        raise NonConformanceError(sentence)
