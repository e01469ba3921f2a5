"""What came of all checks, and `conformance.json`."""

from __future__ import annotations

import contextlib
import json
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from rlplug.errors import RlplugError
from rlplug.registry import discovery
from rlplug.testing.check import NonConformanceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rlplug.testing.check import Check, Result

_GROUPS: tuple[Literal["algorithms", "environments"], ...] = ("algorithms", "environments")
SCHEMA = 1
"""Of `conformance.json`; it grows when a key changes its meaning or goes."""


@dataclass(frozen=True)
class Report:
    """Results, in the order in which the checks were tried."""

    results: tuple[Result, ...]

    @classmethod
    def of(cls, checks: Iterable[Check], tell: Callable[[Result], object] | None = None) -> Report:
        """Try all checks.

        Args:
            checks: What to try.
            tell: Called with each result as it comes.
        """
        results = []
        for check in checks:
            result = check.run()
            results.append(result)
            if tell is not None:
                tell(result)
        return cls(tuple(results))

    @property
    def failures(self) -> tuple[Result, ...]:
        """What does not conform."""
        return tuple(result for result in self.results if result.is_failure)

    @property
    def passed(self) -> bool:
        """Whether everything conforms."""
        return not self.failures

    def require(self) -> None:
        """Raise `NonConformanceError`, an AssertionError, that names every failure."""
        if self.failures:
            lines = [f"{one.subject} fails '{one.name}': {one.reason}" for one in self.failures]
            raise NonConformanceError("\n".join(lines))

    def to_dict(self) -> dict[str, Any]:
        """As `conformance.json` has it."""
        subjects: dict[str, list[Result]] = {}
        for result in self.results:
            subjects.setdefault(result.subject, []).append(result)
        return {
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": _versions(subjects),
            "passed": self.passed,
            "subjects": [
                {
                    "name": name,
                    "passed": not any(one.is_failure for one in results),
                    "seconds": round(sum(one.seconds for one in results), 3),
                    "checks": [_row(one) for one in results],
                }
                for name, results in subjects.items()
            ],
        }

    def write(self, path: Path) -> None:
        """Write `conformance.json`."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")


def _row(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "proves": result.proves,
        "tier": result.tier,
        "status": result.status,
        "seconds": result.seconds,
        "reason": result.reason,
        "traceback": result.traceback,
    }


def _versions(subjects: Iterable[str]) -> dict[str, str]:
    """Python, the packages that decide what a check says, and those that are checked."""
    found = {"python": platform.python_version()}
    for package in ("rlplug", "torch", "numpy", "gymnasium", "ray"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    for name in subjects:
        for group in _GROUPS:
            with contextlib.suppress(RlplugError):  # a spec that was given itself has no provider
                if owner := discovery.provider(group, name):
                    found[owner.distribution] = owner.version
    return found
