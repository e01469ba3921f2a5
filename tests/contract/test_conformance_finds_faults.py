"""The conformance kit passes what is right, and finds each fault with the check that is for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import broken_agents
import broken_environments
import pytest
import reference_agents

from rlplug.testing import algorithm_checks, check_algorithm, check_environment, environment_checks

if TYPE_CHECKING:
    from rlplug.specs import AlgorithmSpec
    from rlplug.testing import Check

SETTINGS = "every setting matters"
"""Sixty runs; of an agent whose settings are the reference's it says what it says of that."""
SAME_SETTINGS = {"reference_config:QConfig", "reference_config:CriticConfig"}


def failing(checks: list[Check]) -> dict[str, str]:
    results = [check.run() for check in checks]
    return {one.name: one.reason for one in results if one.is_failure}


@pytest.mark.parametrize(
    "spec", [reference_agents.Q, reference_agents.CRITIC], ids=lambda s: s.name
)
def test_a_correct_agent_conforms(spec: AlgorithmSpec) -> None:
    report = check_algorithm(spec)
    report.require()
    assert report.passed
    skipped = {one.name for one in report.results if one.status == "skipped"}
    assert not skipped


@pytest.mark.parametrize("name", broken_agents.BROKEN)
def test_a_broken_agent_fails_the_check_that_is_for_it_and_no_other(name: str) -> None:
    spec, meant = broken_agents.BROKEN[name]
    left_out = {SETTINGS} if spec.config in SAME_SETTINGS else set()
    found = failing([one for one in algorithm_checks(spec) if one.name not in left_out])
    assert list(found) == [meant], found


def test_a_correct_environment_conforms() -> None:
    report = check_environment(broken_environments.WALK)
    report.require()
    assert not [one.name for one in report.results if one.status == "skipped"]


@pytest.mark.parametrize("name", broken_environments.BROKEN)
def test_a_broken_environment_fails_the_check_that_is_for_it_and_no_other(name: str) -> None:
    spec, meant = broken_environments.BROKEN[name]
    found = failing(environment_checks(spec))
    assert list(found) == [meant], found


def test_faults_enough_are_tried() -> None:
    found = [check for _, check in (*broken_agents.BROKEN.values(),
                                    *broken_environments.BROKEN.values())]  # fmt: skip
    assert len(found) >= 30
    tried = {one.name for one in algorithm_checks(reference_agents.Q)}
    tried |= {one.name for one in environment_checks(broken_environments.WALK)}
    never_fails = tried - set(found)
    assert never_fails == {"undeclared spaces are refused", "steps per second"}


def test_a_worker_finds_the_worlds_of_the_kit() -> None:
    (check,) = (
        one for one in algorithm_checks("reinforce", tier="learns") if "Ray worker" in one.name
    )
    assert check.run().status == "passed"
