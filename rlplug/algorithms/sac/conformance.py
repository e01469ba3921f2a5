"""What the conformance kit cannot find out about soft actor-critic by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlplug.specs import AlgorithmConformance

if TYPE_CHECKING:
    from rlplug.algorithms.sac.agent import SacAgent
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
        "agent.temperature": {"kind": "fixed", "value": 1e-3},
        "agent.network.hidden_sizes": [32],
        "agent.batch_size": 32,
        "agent.target_update_rate": 0.1,
        "train.steps": 500,
        "train.warmup_env_steps": 100,
        "train.collect_env_steps": 16,
        "train.updates_per_env_step": 1.5,
        "launch.num_envs": 8,
    },
    value="rlplug.algorithms.sac.conformance:values",
    without_effect=_WITHOUT_EFFECT,
)


def values(agent: SacAgent, observation: Tree) -> Array:
    """`[T, N]` soft values of the policy at `[T, N, *obs]`."""
    import numpy as np
    import optree
    import torch

    num_steps, num_envs = np.shape(optree.tree_leaves(observation)[0])[:2]
    flat: Any = optree.tree_map(
        lambda leaf: torch.from_numpy(np.reshape(leaf, (num_steps * num_envs, *leaf.shape[2:]))),
        observation,
    )
    with torch.inference_mode():
        worth = agent.kind.soft_value(agent.critic, flat, agent.temperature.value)
        found: Array = worth.value.numpy()
    return found.reshape(num_steps, num_envs)
