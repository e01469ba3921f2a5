"""Two games pass rlplug's conformance kit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.conformance(environments=["coinrun", "maze"])
def test_conformance(conformance: Callable[[], Any]) -> None:
    assert conformance().status == "passed"
