"""Two tasks pass rlplug's conformance kit: one that never falls, one that ends when it does."""

from __future__ import annotations

import pytest


@pytest.mark.conformance(environments=["halfcheetah", "hopper"])
def test_conformance(conformance):
    assert conformance().status == "passed"
