"""Every built-in algorithm and environment conforms, one test for each fact."""

from __future__ import annotations

from typing import Any

import pytest

from rlplug.registry.entries import OWN, entries

ALGORITHMS = [entry.name for entry in entries("algorithms") if entry.distribution == OWN]
ENVIRONMENTS = [entry.name for entry in entries("environments") if entry.distribution == OWN]


@pytest.mark.conformance(algorithms=ALGORITHMS, environments=ENVIRONMENTS)
def test_conformance(conformance: Any) -> None:
    assert conformance().status == "passed"


def test_something_is_checked() -> None:
    assert len(ALGORITHMS) > 20
    assert len(ENVIRONMENTS) > 5
