"""What the conformance kit cannot find out about the value family by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlplug.specs import AlgorithmConformance, Flip

if TYPE_CHECKING:
    from rlplug.algorithms.dqn.agent import DqnAgent
    from rlplug.data import Array, Tree

_NOISY: dict[str, Any] = {"agent.network.noisy": {"kind": "factorised"}}
_EXPLORES_BY_NOISE = _NOISY | {"agent.exploration": {"kind": "noisy"}}
_HELPED_BY_LARGE_STEPS = {"agent.optimizer.learning_rate": 0.1}
_FLIPS: dict[str, tuple[Flip, ...]] = {
    "agent.exploration=noisy": (Flip(value="noisy", on=_NOISY),),
    "agent.bootstrap=double": (Flip(value="double", on=_HELPED_BY_LARGE_STEPS),),
    "agent.exploration.ladder_exponent": (Flip(value=7.0, on={"agent.exploration.epsilon": 0.4}),),
    "agent.exploration.evaluation_epsilon": (
        Flip(value=0.5, kind="epsilon"),
        Flip(value=0.5, kind="noisy", on=_EXPLORES_BY_NOISE),
    ),
}
_WITHOUT_EFFECT = {
    "replay.storage": "the same rows are drawn from memory, disk and device",
    "replay.frame_stack": "the same stacks are drawn, however they are stored",
}


def _declared(
    small: dict[str, Any], learning: dict[str, Any] | None = None
) -> AlgorithmConformance:
    return AlgorithmConformance(
        small={
            "agent.optimizer.learning_rate": 0.01,
            "agent.target_update_every_updates": 5,
            **small,
        },
        learning={
            "agent.network.encoder.hidden_sizes": [32],
            "agent.network.hidden_sizes": [32],
            "agent.optimizer.learning_rate": 5e-3,
            "agent.optimizer.decay": "linear",
            "agent.batch_size": 32,
            "agent.target_update_every_updates": 1,
            "agent.target_update_rate": 0.1,
            "train.steps": 500,
            "train.warmup_env_steps": 100,
            "train.collect_env_steps": 16,
            "train.updates_per_env_step": 2,
            "launch.num_envs": 8,
            **(learning or {}),
        },
        value="rlplug.algorithms.dqn.conformance:values",
        flips=_FLIPS,
        without_effect=_WITHOUT_EFFECT,
        settings_of="rlplug.algorithms.dqn.spec:DQN",
    )


SCALAR = _declared({})
CATEGORICAL = _declared(
    {"agent.head.num_atoms": 11},
    {"agent.head.num_atoms": 29, "agent.head.min_return": -2.0, "agent.head.max_return": 12.0},
)
QUANTILE = _declared({"agent.head.num_quantiles": 7}, {"agent.head.num_quantiles": 16})
IMPLICIT = _declared(
    {
        "agent.head.num_cosines": 8,
        "agent.head.num_samples": 4,
        "agent.head.num_target_samples": 5,
        "agent.head.num_acting_samples": 3,
    },
    {
        "agent.head.num_cosines": 16,
        "agent.head.num_samples": 8,
        "agent.head.num_target_samples": 8,
        "agent.head.num_acting_samples": 32,
    },
)


def values(agent: DqnAgent, observation: Tree) -> Array:
    """`[T, N]` value of the best action for `[T, N, *obs]`, without noise."""
    import numpy as np
    import optree
    import torch

    from rlplug.nn.noisy import remove_noise

    num_steps, num_envs = np.shape(optree.tree_leaves(observation)[0])[:2]
    flat = optree.tree_map(
        lambda leaf: torch.from_numpy(np.reshape(leaf, (num_steps * num_envs, *leaf.shape[2:]))),
        observation,
    )
    remove_noise(agent.online)
    with torch.inference_mode():
        best: Array = agent.online.q_values(flat).amax(dim=1).numpy()
    return best.reshape(num_steps, num_envs)
