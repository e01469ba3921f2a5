"""What the conformance kit cannot find out about deterministic actor-critic by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlplug.specs import AlgorithmConformance

if TYPE_CHECKING:
    from rlplug.algorithms.td3.agent import Td3Agent
    from rlplug.data import Array, Tree

_RATES = ("agent.actor_optimizer", "agent.critic_optimizer")
_WITHOUT_EFFECT = {
    "replay.storage": "the same rows are drawn from memory, disk and device",
    "replay.frame_stack": "the same stacks are drawn, however they are stored",
}

BOTH = AlgorithmConformance(
    small={"agent.random_env_steps": 16, **{f"{name}.learning_rate": 0.01 for name in _RATES}},
    learning={
        **{f"{name}.learning_rate": 5e-3 for name in _RATES},
        "agent.critic_optimizer.decay": "linear",
        "agent.random_env_steps": 100,
        "agent.network.hidden_sizes": [32],
        "agent.batch_size": 32,
        "agent.target_update_rate": 0.1,
        "train.steps": 500,
        "train.warmup_env_steps": 100,
        "train.collect_env_steps": 16,
        "train.updates_per_env_step": 1.5,
        "launch.num_envs": 8,
    },
    value="rlplug.algorithms.td3.conformance:values",
    without_effect=_WITHOUT_EFFECT,
    settings_of="rlplug.algorithms.td3.spec:TD3",
)


def values(agent: Td3Agent, observation: Tree) -> Array:
    """`[T, N]` values of the actor's actions at `[T, N, *obs]`."""
    import numpy as np
    import optree
    import torch

    num_steps, num_envs = np.shape(optree.tree_leaves(observation)[0])[:2]
    flat: Any = optree.tree_map(
        lambda leaf: torch.from_numpy(np.reshape(leaf, (num_steps * num_envs, *leaf.shape[2:]))),
        observation,
    )
    with torch.inference_mode():
        found: Array = agent.critic(flat, agent.actor(flat)).amin(dim=0).numpy()
    return found.reshape(num_steps, num_envs)
