"""The conformance kit as pytest tests: one for each fact, named by it.

In `conftest.py`, so that no other project's tests load it:

    pytest_plugins = ["rlplug.testing.plugin"]

In a test file:

    @pytest.mark.conformance(algorithms=["my-algorithm"], environments=["my-environment"])
    def test_conformance(conformance):
        conformance()

`--conformance-tier learns` adds what takes longer, `--conformance-json FILE` writes the results.
An expected failure is pytest's xfail, strictly: one that passes after all fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.testing.check import Check, Result

_RESULTS: pytest.StashKey[list[Result]] = pytest.StashKey()
_OF_PROCESS = "rlplug conformance"
"""Where a process of pytest-xdist leaves its results for the one that reports."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the kit's options."""
    group = parser.getgroup("rlplug conformance")
    group.addoption(
        "--conformance-tier",
        choices=("fast", "learns"),
        default="fast",
        help="fast takes seconds for each subject; learns has all checks",
    )
    group.addoption(
        "--conformance-json", metavar="FILE", default=None, help="write what came of all checks"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "conformance(algorithms=[...], environments=[...]): one test for each check"
    )
    config.stash[_RESULTS] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each check of what the marker names: names, or specs."""
    if "conformance" not in metafunc.fixturenames:
        return
    from rlplug.testing.kit import algorithm_checks, environment_checks

    tier = metafunc.config.getoption("--conformance-tier")
    checks: list[Check] = []
    for marker in metafunc.definition.iter_markers("conformance"):
        for name in marker.kwargs.get("algorithms", ()):
            checks += algorithm_checks(name, tier=tier)
        for name in marker.kwargs.get("environments", ()):
            checks += environment_checks(name, tier=tier)
    names = [f"{check.subject}-{check.name}" for check in checks]
    metafunc.parametrize("_conformance_check", checks, ids=names)


@pytest.fixture
def conformance(_conformance_check: Check, request: pytest.FixtureRequest) -> Callable[[], Result]:
    """Try one check; calling it skips, expects the failure or fails, as the check comes out."""

    def run() -> Result:
        result = _conformance_check.run()
        request.config.stash[_RESULTS].append(result)
        if result.status == "skipped":
            pytest.skip(result.reason)
        if result.status == "expected-failure":
            pytest.xfail(result.reason)
        if result.is_failure:
            pytest.fail(f"{result.reason}\n{result.traceback}".rstrip(), pytrace=False)
        return result

    return run


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what one of pytest-xdist's processes has tried."""
    rows = getattr(node, "workeroutput", {}).get(_OF_PROCESS, ())
    if rows:
        from rlplug.testing.check import Result

        node.config.stash[_RESULTS] += [Result(*row) for row in rows]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write `conformance.json`, where it was asked for."""
    path, results = session.config.getoption("--conformance-json"), session.config.stash[_RESULTS]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # one of pytest-xdist's processes, which knows a part of it
        output[_OF_PROCESS] = [tuple(one) for one in results]
    elif path and results:
        from rlplug.testing.report import Report

        Report(tuple(results)).write(Path(path))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the slowest checks."""
    results = config.stash[_RESULTS]
    if not results:
        return
    terminalreporter.section("slowest conformance checks")
    for one in sorted(results, key=lambda one: one.seconds, reverse=True)[:5]:
        terminalreporter.line(f"{one.seconds:6.2f} s  {one.subject}: {one.name}")
