"""What `rlplug.nn.linear` and `rlplug.nn.flat` gain: `python -m benchmarks.products`.

Prints the two tables of docs/decisions/0031-products-by-onednn.md: products alone, and whole DQN
updates with and without either, in turn on one thread, in microseconds of processor time.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import gymnasium
import torch
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.algorithms.dqn.gradient import ByAutograd
from rlplug.data import TransitionBatch
from rlplug.nn import linear, optimizer
from rlplug.protocols import AgentContext
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from collections.abc import Callable

PRODUCTS = [(64, 256, 256), (256, 256, 256), (32, 512, 512), (512, 128, 128), (256, 3136, 512)]
UPDATES = [(64, 64), (256, 64), (512, 32), (256, 256)]
TURNS, CALLS = 7, 30
NEVER = 10**15


def in_turn(calls: list[Callable[[], object]], times: int = CALLS) -> list[float]:
    """Median microseconds of each, taken in turn, so many times a turn."""
    taken: list[list[float]] = [[] for _ in calls]
    for turn in range(TURNS + 1):
        for call, mine in zip(calls, taken, strict=True):
            begin = time.process_time()
            for _ in range(times):
                call()
            if turn:  # the first warms up
                mine.append((time.process_time() - begin) / times * 1e6)
    return [statistics.median(each) for each in taken]


def product(rows: int, inputs: int, outputs: int) -> list[float]:
    """MKL and oneDNN, forward; then both with gradients."""
    x = torch.rand(rows, inputs, requires_grad=True)
    weight = torch.rand(outputs, inputs, requires_grad=True)
    bias, slope = torch.rand(outputs, requires_grad=True), torch.rand(rows, outputs)
    linear._MIN_PRODUCTS = 0

    def forward(layer: Callable[..., torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            return layer(x, weight, bias)

    def both(layer: Callable[..., torch.Tensor]) -> object:
        return torch.autograd.grad(layer(x, weight, bias), (x, weight, bias), slope)

    layers = (F.linear, linear.linear)
    return in_turn([lambda f=f, one=one: f(one) for f in (forward, both) for one in layers])


def update(units: int, batch_size: int) -> list[float]:
    """A DQN update with neither, with one vector, with oneDNN, and with both."""
    space, actions = gymnasium.spaces.Box(-1, 1, (4,)), gymnasium.spaces.Discrete(2)
    config = DqnConfig.model_validate(
        {
            "batch_size": batch_size,
            "optimizer": {"max_gradient_norm": 10.0},
            "network": {
                "encoder": {"kind": "mlp", "hidden_sizes": [units]}, "hidden_sizes": [units],
            },
        }
    )  # fmt: skip
    ones = torch.ones(batch_size)
    batch = TransitionBatch(
        torch.rand(batch_size, 4), torch.randint(2, (batch_size,)), ones, 0.99 * ones,
        torch.rand(batch_size, 4), ones, None,
    )  # fmt: skip
    largest, smallest = optimizer._MAX_FLAT, MIN_PRODUCTS

    def made(limit: int) -> DqnAgent:
        optimizer._MAX_FLAT = limit
        agent = DqnAgent(config, AgentContext(space, actions, 1, Seeds(0)))
        agent.gradient = ByAutograd(agent.online, agent.optimizer)  # what the page compares
        return agent

    def call(agent: DqnAgent, least: int) -> None:
        linear._MIN_PRODUCTS = least
        agent.update(batch)

    listed, flat = made(0), made(largest)
    optimizer._MAX_FLAT = largest
    ways = [(listed, NEVER), (flat, NEVER), (listed, smallest), (flat, smallest)]
    return in_turn([lambda way=way: call(*way) for way in ways])


MIN_PRODUCTS = linear._MIN_PRODUCTS

if __name__ == "__main__":
    torch.set_num_threads(1)
    linear._TAKES_ONEDNN = linear._HAS_ONEDNN  # on every processor that can: that is compared
    print("| rows × inputs × outputs | MKL | oneDNN | MKL with gradients | oneDNN with gradients |")
    print("|---|---|---|---|---|")
    for shape in PRODUCTS:
        figures = " | ".join(f"{value:,.0f}" for value in product(*shape))
        print(f"| {' × '.join(f'{size:,}' for size in shape)} | {figures} |", flush=True)
    print("\n| hidden layers, batch | neither | one vector | oneDNN | both |")
    print("|---|---|---|---|---|")
    for units, batch_size in UPDATES:
        figures = " | ".join(f"{value:,.0f}" for value in update(units, batch_size))
        print(f"| {units}-{units}, {batch_size} | {figures} |", flush=True)
