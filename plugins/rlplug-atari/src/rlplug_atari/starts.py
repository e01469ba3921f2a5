"""Where games begin: the seeds of both paths, and the draw of ale-py's idle frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

RESEED_AFTER_STEPS = 10_000
"""A game that begins after more steps than this gets a new seed.

A seed loads the game anew, which takes as long as some hundred steps, so not every game gets one.
What was played since the last is what a resumed run has to play again.
"""


def draw_seed(generator: np.random.Generator) -> int:
    """A seed for ale-py."""
    return int(generator.integers(2**31))


def idle_frames(seed: int, most: int) -> Callable[[], int]:
    """Draws from 0 to `most` what the native vector environment draws after this seed.

    It is std::mt19937 under std::uniform_int_distribution as libstdc++ has it (one multiplication,
    Lemire 2019, arXiv:1805.10941), so single games begin where native ones do on Linux.
    """
    words = np.random.RandomState(seed)  # seeds the Mersenne Twister as C++ does
    outcomes = most + 1

    def draw() -> int:
        while True:
            product = int(words.randint(0, 2**32, dtype=np.uint32)) * outcomes
            if product % 2**32 >= 2**32 % outcomes:
                return product >> 32

    return draw
