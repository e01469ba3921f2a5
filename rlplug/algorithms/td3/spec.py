"""What deterministic actor-critic registers. No torch here: heavy parts are import strings."""

from __future__ import annotations

from typing import Any

from rlplug.specs import AlgorithmSpec


def _spec(name: str, summary: str, paper: str, **agent: Any) -> AlgorithmSpec:
    """The same agent, other defaults."""
    return AlgorithmSpec(
        name=name,
        summary=summary,
        paper=paper,
        config="rlplug.algorithms.td3.config:Td3Config",
        agent="rlplug.algorithms.td3.agent:Td3Agent",
        policy="rlplug.algorithms.td3.policy:Td3Policy",
        observation_spaces=(
            "box",
            "image",
            "discrete",
            "multi-discrete",
            "multi-binary",
            "dict",
            "tuple",
        ),
        action_spaces=("box",),
        conformance="rlplug.algorithms.td3.conformance:BOTH",
        defaults={
            "agent": agent,
            "train": {
                "collect_env_steps": 1,
                "warmup_env_steps": 1_000,
                "updates_per_env_step": 1.0,
            },
            "replay": {"capacity": 1_000_000},
        },
    )


TD3 = _spec(
    "td3",
    "Twin delayed DDPG: deterministic policy, twin critics, smoothed targets",
    "Fujimoto et al. 2018, arXiv:1802.09477",
)
DDPG = _spec(
    "ddpg",
    "Deep deterministic policy gradient: one critic, correlated noise",
    "Lillicrap et al. 2016, arXiv:1509.02971",
    num_critics=1,
    actor_update_every_updates=1,
    target_noise=None,
    exploration={"kind": "ornstein-uhlenbeck"},
    network={"hidden_sizes": (400, 300)},
    actor_optimizer={"learning_rate": 1e-4},
    critic_optimizer={"learning_rate": 1e-3},
    batch_size=64,
    target_update_rate=0.001,
)
