"""What the written-out gradient gains: `python -m benchmarks.gradients`.

Prints the tables of docs/decisions/0033-a-written-out-gradient.md: whole updates of DQN, PPO and
SAC with autograd and without, in turn on one thread, in microseconds of processor time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import torch

from benchmarks.products import in_turn
from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.algorithms.dqn.gradient import ByAutograd
from rlplug.algorithms.ppo.agent import PpoAgent
from rlplug.algorithms.ppo.config import PpoConfig
from rlplug.algorithms.ppo.experience import Minibatch, Rows
from rlplug.algorithms.ppo.gradient import ByAutograd as PpoByAutograd
from rlplug.algorithms.ppo.losses import Losses
from rlplug.algorithms.sac.agent import SacAgent
from rlplug.algorithms.sac.config import SacConfig
from rlplug.algorithms.sac.gradient import ByAutograd as SacByAutograd
from rlplug.algorithms.sac.gradient import Networks
from rlplug.data import TransitionBatch
from rlplug.protocols import AgentContext
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from collections.abc import Callable

VECTOR = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
SIZES = ((64, 64), (128, 64), (256, 64), (512, 32), (256, 256))
"""Of two hidden layers, and of the minibatch."""
PPO_SIZES = ((64, 64), (64, 256), (256, 256))
SAC_SIZES = ((64, 64), (256, 64), (256, 256))
CALLS = 40


def ppo_update(hidden_size: int, batch_size: int, *, written_out: bool) -> Callable[[], object]:
    """One update of an agent of its own, of two towers."""
    config = PpoConfig.model_validate({"network": {"hidden_sizes": [hidden_size, hidden_size]}})
    agent = PpoAgent(config, AgentContext(VECTOR, gymnasium.spaces.Discrete(2), 1, Seeds(0)))
    agent.clip_ratio = 0.2
    if not written_out:
        agent.gradient = PpoByAutograd(agent.network, Losses(config), agent.optimizer)
    shown, one = torch.rand(batch_size, 4), torch.randn(batch_size)
    rows = Rows(
        (shown, None), torch.randint(2, (batch_size,)), -one.abs(), one, one, one, None,
    )  # fmt: skip
    return lambda: agent.update(Minibatch(rows))


def sac_update(
    hidden_size: int, batch_size: int, *, written_out: bool, precision: str = "float32"
) -> Callable[[], object]:
    """One update of an agent of its own, on a vector of 17 and 6 numbers in an action."""
    shown = gymnasium.spaces.Box(-np.inf, np.inf, (17,), np.float64)
    actions = gymnasium.spaces.Box(-1, 1, (6,), np.float32)
    network = {"hidden_sizes": [hidden_size, hidden_size], "precision": precision}
    config = SacConfig.model_validate({"network": network})
    agent = SacAgent(config, AgentContext(shown, actions, 1, Seeds(0)))
    if not written_out:
        networks = Networks(
            agent.actor,
            agent.critic,
            agent.target_critic,
            agent.actor_optimizer,
            agent.critic_optimizer,
        )
        agent.gradient = SacByAutograd(networks, agent.kind)
    ones = torch.ones(batch_size)
    before, after = torch.randn(2, batch_size, 17, dtype=torch.float64)
    taken = 2 * torch.rand(batch_size, 6) - 1
    batch = TransitionBatch(before, taken, torch.randn(batch_size), 0.99 * ones, after, ones, None)
    return lambda: agent.update(batch)


def update(hidden_size: int, batch_size: int, *, written_out: bool) -> Callable[[], object]:
    """One update of an agent of its own."""
    network = {
        "encoder": {"kind": "mlp", "hidden_sizes": [hidden_size]},
        "hidden_sizes": [hidden_size],
    }
    config = DqnConfig.model_validate({"network": network, "optimizer": {"max_gradient_norm": 10}})
    agent = DqnAgent(config, AgentContext(VECTOR, gymnasium.spaces.Discrete(2), 1, Seeds(0)))
    if not written_out:
        agent.gradient = ByAutograd(agent.online, agent.optimizer)
    ones = torch.ones(batch_size)
    batch = TransitionBatch(
        torch.rand(batch_size, 4), torch.randint(2, (batch_size,)), ones, 0.99 * ones,
        torch.rand(batch_size, 4), ones, None,
    )  # fmt: skip
    return lambda: agent.update(batch)


if __name__ == "__main__":
    torch.set_num_threads(1)
    in_bfloat16 = partial(sac_update, precision="bfloat16")
    for name, make, sizes in (
        ("DQN", update, SIZES),
        ("PPO", ppo_update, PPO_SIZES),
        ("SAC", sac_update, SAC_SIZES),
        ("SAC in bfloat16", in_bfloat16, SAC_SIZES),
    ):
        print(f"| {name}: hidden layers, batch | autograd | written out | share |")
        print("|---|---|---|---|")
        for hidden_size, batch_size in sizes:
            calls = [make(hidden_size, batch_size, written_out=one) for one in (False, True)]
            traced, written = in_turn(calls, CALLS)
            label = f"{hidden_size}-{hidden_size}, {batch_size}"
            print(f"| {label} | {traced:,.0f} | {written:,.0f} | {written / traced:.2f} |")
