from __future__ import annotations

import json
from pathlib import Path

import broken_environments
import pytest

TESTS = """
import pytest
from broken_environments import BROKEN, WALK
from rlplug.specs import EnvironmentConformance

LATER = EnvironmentConformance(expected_failures={"closing twice is safe": "not yet"})
BETTER = EnvironmentConformance(expected_failures={"closing twice is safe": "no more"})
ONCE = BROKEN["closesonce"][0]
EXCUSED = ONCE.model_copy(update={"name": "excused", "conformance": "test_it:LATER"})
MENDED = WALK.model_copy(update={"name": "mended", "conformance": "test_it:BETTER"})

@pytest.mark.conformance(environments=[WALK, ONCE, EXCUSED, MENDED])
def test_conformance(conformance):
    conformance()
"""


@pytest.mark.parametrize("at_once", [(), ("-n", "1")], ids=["alone", "side by side"])
def test_each_check_is_a_test_that_names_itself(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, at_once: tuple[str, ...]
) -> None:
    pytester.makeconftest('pytest_plugins = ["rlplug.testing.plugin"]')
    pytester.makepyfile(test_it=TESTS)
    # in a process of its own: torch and numpy are loaded once in a process, and what else is
    # installed beside pytest may warn of tests that run side by side
    monkeypatch.setenv("PYTHONPATH", str(Path(broken_environments.__file__).parent))
    asked = ["-k", "closing", "-rA", "--conformance-json", "out.json"]
    result = pytester.runpytest_subprocess("-p", "no:benchmark", *asked, *at_once, timeout=250)
    left_out = {} if at_once else {"deselected": result_count(pytester) - 4}
    result.assert_outcomes(passed=1, failed=2, xfailed=1, **left_out)
    result.stdout.fnmatch_lines(
        [
            "*close() raised RuntimeError*",
            "*It is declared to fail (no more) and passes*",
            "*slowest conformance checks*",
        ],
    )
    output = result.stdout.str()
    assert "FAILED test_it.py::test_conformance[closesonce-closing twice is safe]" in output
    assert "XFAIL test_it.py::test_conformance[excused-closing twice is safe] - not yet" in output
    written = json.loads((pytester.path / "out.json").read_text())
    assert not written["passed"]
    found = {one["name"] for one in written["subjects"]}
    assert found == {"walk", "closesonce", "excused", "mended"}


def result_count(pytester: pytest.Pytester) -> int:
    from rlplug.testing import environment_checks

    return 4 * len(environment_checks(broken_environments.WALK))
