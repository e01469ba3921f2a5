"""What bfloat16 gains: `python -m benchmarks.precision`.

Prints the tables of docs/decisions/0032-precision.md: whole DQN updates in float32 and in bfloat16,
and in bfloat16 without what is done to it beyond the casts, in turn on one thread, in milliseconds
of processor time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import torch

from benchmarks.products import in_turn
from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.data import TransitionBatch
from rlplug.nn import encoders
from rlplug.nn.precision import Float32Output, has_bfloat16
from rlplug.protocols import AgentContext
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from collections.abc import Callable

ATARI = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
PROCGEN = gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
VECTOR = gymnasium.spaces.Box(-1, 1, (17,), np.float32)
CALLS = 5


class Work(NamedTuple):
    """A network and its minibatch."""

    encoder: dict[str, Any]
    hidden_size: int
    space: gymnasium.spaces.Box
    batch_size: int


WORK = {
    "Nature CNN, 32": Work({"kind": "nature-cnn"}, 512, ATARI, 32),
    "Nature CNN, 256": Work({"kind": "nature-cnn"}, 512, ATARI, 256),
    "IMPALA ResNet, 64": Work({"kind": "impala-resnet"}, 256, PROCGEN, 64),
    "MLP 256-256, 256": Work({"kind": "mlp", "hidden_sizes": [256]}, 256, VECTOR, 256),
    "MLP 1024-1024, 256": Work({"kind": "mlp", "hidden_sizes": [1024]}, 1024, VECTOR, 256),
}


def batch_of(work: Work) -> TransitionBatch:
    """Transitions that stay the same."""
    ones = torch.ones(work.batch_size)
    observation = np.stack([work.space.sample() for _ in range(work.batch_size)])
    return TransitionBatch(
        torch.from_numpy(observation), torch.randint(6, (work.batch_size,)), ones, 0.99 * ones,
        torch.from_numpy(observation), ones, torch.arange(work.batch_size),
    )  # fmt: skip


def agent_of(
    work: Work, precision: str, *, device: str = "cpu", is_compiled: bool = False
) -> DqnAgent:
    """DQN with this network."""
    network = {
        "encoder": work.encoder,
        "hidden_sizes": [work.hidden_size],
        "precision": precision,
        "compile": is_compiled,
    }
    config = DqnConfig.model_validate({"network": network})
    actions = gymnasium.spaces.Discrete(6)
    return DqnAgent(config, AgentContext(work.space, actions, 1, Seeds(0), device))


def update(work: Work) -> list[float]:
    """Milliseconds in float32 and in bfloat16."""
    batch = batch_of(work)
    agents = [agent_of(work, precision) for precision in ("float32", "bfloat16")]
    calls: list[Callable[[], object]] = [partial(agent.update, batch) for agent in agents]
    return [microseconds / 1e3 for microseconds in in_turn(calls, CALLS)]


def shortcuts(work: Work) -> list[float]:
    """Milliseconds in bfloat16: as it is, without patches of bytes, without weights cast once."""
    batch = batch_of(work)
    agent, casting = (agent_of(work, "bfloat16") for _ in range(2))
    for part in casting.target.modules():
        if isinstance(part, Float32Output):
            part._casts.clear()
    has_amx = encoders._HAS_AMX

    def without_patches() -> None:
        encoders._HAS_AMX = False
        agent.update(batch)
        encoders._HAS_AMX = has_amx

    calls: list[Callable[[], object]] = [partial(agent.update, batch), without_patches]
    calls.append(partial(casting.update, batch))
    return [microseconds / 1e3 for microseconds in in_turn(calls, CALLS)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"This processor multiplies bfloat16 by itself: {has_bfloat16('cpu')}\n")
    print("| network, batch | float32 | bfloat16 | ratio |")
    print("|---|---|---|---|")
    for name, work in WORK.items():
        full, half = update(work)
        print(f"| {name} | {full:.1f} | {half:.1f} | {full / half:.2f} |", flush=True)
    print(f"\nIt has AMX, where the first convolution is by patches: {encoders._HAS_AMX}\n")
    print("| network, batch | bfloat16 | without patches | target's weights cast each time |")
    print("|---|---|---|---|")
    for name in ("Nature CNN, 32", "Nature CNN, 256"):
        times = [f"{milliseconds:.1f}" for milliseconds in shortcuts(WORK[name])]
        print(f"| {name} | {' | '.join(times)} |", flush=True)
