"""One seed, and a named independent generator for every part that draws.

The name decides the stream, not the order of creation: adding a consumer changes no other one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Generator


class Seeds:
    """Gives each part its generator, by name.

    `Seeds(0).numpy("replay")` is always the same stream, and `Seeds(0).child("worker-3")` a
    whole independent family of streams.
    """

    def __init__(self, seed: int, *path: str) -> None:
        self.seed = seed
        self.path = path

    def child(self, name: str) -> Seeds:
        """The family of generators below `name`."""
        return Seeds(self.seed, *self.path, name)

    def sequence(self, name: str) -> np.random.SeedSequence:
        """The seed sequence of `name`, a function of seed, path and name alone."""
        digest = hashlib.sha256("/".join((*self.path, name)).encode()).digest()
        spawn_key = tuple(np.frombuffer(digest, dtype=np.uint32).tolist())
        return np.random.SeedSequence(self.seed, spawn_key=spawn_key)

    def integer(self, name: str) -> int:
        """A 31-bit seed, for libraries that take a plain integer."""
        return int(self.sequence(name).generate_state(1, np.uint32)[0]) >> 1

    def numpy(self, name: str) -> np.random.Generator:
        """A numpy generator (PCG64)."""
        return np.random.Generator(np.random.PCG64(self.sequence(name)))

    def torch(self, name: str, device: str = "cpu") -> Generator:
        """A torch generator on `device`."""
        import torch

        generator = torch.Generator(device=device)
        generator.manual_seed(int(self.sequence(name).generate_state(1, np.uint64)[0]) >> 1)
        return generator


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """The JSON-able state of a numpy generator, for checkpoints."""
    return dict(generator.bit_generator.state)


def set_generator_state(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Put a numpy generator back to a state from `generator_state`."""
    generator.bit_generator.state = state
