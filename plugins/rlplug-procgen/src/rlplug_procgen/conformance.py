"""What rlplug's conformance kit is told of Procgen's games."""

from __future__ import annotations

from rlplug.specs import EnvironmentConformance

_KEPT = (
    "Procgen frees 10 KB less than it takes when a seed builds its simulator anew; resets do not"
)
GAME = EnvironmentConformance(
    expected_failures={
        "the vector form plays the same": "Procgen draws the levels of all games from one seed",
        "resets leak no memory": _KEPT,
        "1,000 resets leak no memory": _KEPT,
    },
)
