"""A game with lives and short episodes passes rlplug's kit; all games are the same code."""

from __future__ import annotations

import pytest


@pytest.mark.conformance(environments=["atari/breakout"])
def test_conformance(conformance):
    assert conformance().status == "passed"
