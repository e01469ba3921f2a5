"""How weights start.

Layers keep torch's default: weights and biases uniform within ±1/√inputs. It is also what the
Lua Torch of the first DQN did, so that the value family starts as its papers did; orthogonal
weights belong to on-policy algorithms. Everything is drawn from torch's global generator: build
networks inside a seeded `torch.random.fork_rng`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def fan_in_uniform(*shape: int, inputs: int, gain: float = 1.0) -> Tensor:
    """A tensor of `shape`, uniform within ±gain/√inputs."""
    bound = gain / math.sqrt(inputs)
    return torch.empty(shape).uniform_(-bound, bound)
