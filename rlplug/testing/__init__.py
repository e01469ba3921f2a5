"""Public test kit: probe environments and conformance checks.

    report = check_algorithm("my-algorithm")
    report.require()                      # raises, and names every fact that does not hold

`algorithm_checks` and `environment_checks` are the lists of named checks behind it; in pytest
`rlplug.testing.plugin` makes a test of each.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlplug.testing.check import Check as Check
    from rlplug.testing.check import Result as Result
    from rlplug.testing.kit import algorithm_checks as algorithm_checks
    from rlplug.testing.kit import check_algorithm as check_algorithm
    from rlplug.testing.kit import check_environment as check_environment
    from rlplug.testing.kit import environment_checks as environment_checks
    from rlplug.testing.report import Report as Report

_HOMES = {
    "Check": "check",
    "Report": "report",
    "Result": "check",
    "algorithm_checks": "kit",
    "check_algorithm": "kit",
    "check_environment": "kit",
    "environment_checks": "kit",
}
__all__ = [
    "Check",
    "Report",
    "Result",
    "algorithm_checks",
    "check_algorithm",
    "check_environment",
    "environment_checks",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the probes alone need no torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
