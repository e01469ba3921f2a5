"""Settings of Procgen's games. No gymnasium and no simulator here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rlplug.config import Count
from rlplug.envs.config import EnvConfig

LEVELS_OF_THE_PAPER = {"easy": 200, "hard": 500}
"""Training levels of the generalisation protocol (Cobbe et al. 2020, sections 2.4 and 3)."""
MAX_LEVEL = 2**31 - 1


class ProcgenConfig(EnvConfig):
    """The `env` section of Procgen's games."""

    num_levels: Annotated[Count, Field(ge=0, le=MAX_LEVEL)] | None = None
    """Levels to train on; 0 is all of them. None takes the paper's 200 in easy mode and 500 in hard
    mode, and all in the others."""
    start_level: Annotated[Count, Field(ge=0, le=MAX_LEVEL)] = 0
    """The first of these levels."""
    distribution_mode: Literal["easy", "hard", "extreme", "memory", "exploration"] = "easy"
    """Which levels there are; easy and hard in every game. `exploration` is one hard level."""
    use_backgrounds: bool = True
    """Pictures behind the game; off, they are black."""
    center_agent: bool = True
    """The view follows the agent, in games that are larger than it; off, it shows the level."""
    paint_vel_info: bool = False
    """Paint the agent's velocity into the upper left corner, in the games that know how."""
    use_sequential_levels: bool = False
    """A completed level is followed by another in the same episode."""
    restrict_themes: bool = False
    """One theme where a game has several."""
    use_monochrome_assets: bool = False
    """Rectangles of one colour in place of pictures; goes well with `restrict_themes`."""
    num_threads: Annotated[Count, Field(ge=0, le=256)] | None = None
    """Threads that step the games; 0 steps them in the thread that asks, None takes one for each
    usable core, at most 4, and none for fewer than 16 games. They change no result."""

    @property
    def levels(self) -> int:
        """`num_levels`, decided; 0 is all."""
        if self.num_levels is None:
            return LEVELS_OF_THE_PAPER.get(self.distribution_mode, 0)
        return self.num_levels
