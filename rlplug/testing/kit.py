"""The conformance kit: named checks of an algorithm or an environment, and their report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplug.testing import (
    acting,
    configs,
    episodes,
    every_setting,
    learning,
    lifetime,
    solving,
    whole_runs,
)
from rlplug.testing.check import bind
from rlplug.testing.played import EnvironmentSubject
from rlplug.testing.report import Report
from rlplug.testing.subject import AlgorithmSubject

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.specs import AlgorithmSpec, EnvironmentSpec
    from rlplug.testing.check import Check, Result, Tier

_OF_ALGORITHMS = [
    *configs.CHECKS,
    *acting.CHECKS,
    *whole_runs.CHECKS,
    *learning.CHECKS,
    *every_setting.CHECKS,
    *solving.CHECKS,
]
_OF_ENVIRONMENTS = [*episodes.CHECKS, *lifetime.CHECKS]


def algorithm_checks(name_or_spec: str | AlgorithmSpec, *, tier: Tier = "fast") -> list[Check]:
    """Every check of a tier for one algorithm, not yet tried.

    Args:
        name_or_spec: A registered name, or the spec itself.
        tier: `fast` takes seconds; `learns` has all checks.

    Raises:
        UnknownNameError: no algorithm has this name.
        PluginError: it cannot be loaded.
        ValueError: it declares the failure of a check that there is not.
    """
    subject = AlgorithmSubject.of(name_or_spec)
    expected = subject.declared.expected_failures
    return bind(_OF_ALGORITHMS, subject, name=subject.name, tier=tier, expected_failures=expected)


def check_algorithm(
    name_or_spec: str | AlgorithmSpec,
    *,
    tier: Tier = "fast",
    tell: Callable[[Result], object] | None = None,
) -> Report:
    """Try every check of an algorithm, and say what came of each.

    Args:
        name_or_spec: A registered name, or the spec itself.
        tier: `fast` takes seconds; `learns` has all checks.
        tell: Called with each result as it comes.
    """
    return Report.of(algorithm_checks(name_or_spec, tier=tier), tell)


def environment_checks(name_or_spec: str | EnvironmentSpec, *, tier: Tier = "fast") -> list[Check]:
    """Every check of a tier for one environment, not yet tried.

    Args:
        name_or_spec: A registered name, `family/member`, a Gymnasium id, or the spec itself.
        tier: `fast` takes seconds; `learns` has all checks.

    Raises:
        UnknownNameError: no environment has this name.
        PluginError: it cannot be loaded.
        ValueError: it declares the failure of a check that there is not.
    """
    subject = EnvironmentSubject.of(name_or_spec)
    expected = subject.declared.expected_failures
    return bind(_OF_ENVIRONMENTS, subject, name=subject.name, tier=tier, expected_failures=expected)


def check_environment(
    name_or_spec: str | EnvironmentSpec,
    *,
    tier: Tier = "fast",
    tell: Callable[[Result], object] | None = None,
) -> Report:
    """Try every check of an environment, and say what came of each.

    Args:
        name_or_spec: A registered name, `family/member`, a Gymnasium id, or the spec itself.
        tier: `fast` takes seconds; `learns` has all checks.
        tell: Called with each result as it comes.
    """
    return Report.of(environment_checks(name_or_spec, tier=tier), tell)
