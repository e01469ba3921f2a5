"""What the value family registers. No torch here: heavy parts are import strings."""

from __future__ import annotations

from typing import Any

from rlplug.specs import AlgorithmSpec


def _spec(name: str, summary: str, paper: str, **sections: Any) -> AlgorithmSpec:
    """A member of the family: the same agent, other defaults."""
    return AlgorithmSpec(
        name=name,
        summary=summary,
        paper=paper,
        config="rlplug.algorithms.dqn.config:DqnConfig",
        agent="rlplug.algorithms.dqn.agent:DqnAgent",
        policy="rlplug.algorithms.dqn.policy:DqnPolicy",
        trainer="off-policy",
        check="rlplug.algorithms.dqn.check:check_sections",
        observation_spaces=(
            "box",
            "image",
            "discrete",
            "multi-discrete",
            "multi-binary",
            "dict",
            "tuple",
        ),
        action_spaces=("discrete",),
        defaults=sections,
    )


DQN = _spec(
    "dqn",
    "Deep Q-network: Q-learning with a replay and a target network",
    "Mnih et al. 2015, Nature 518:529-533",
)
DOUBLE_DQN = _spec(
    "double-dqn",
    "DQN whose online network chooses the next action: less overestimation",
    "van Hasselt et al. 2016, arXiv:1509.06461",
    agent={"bootstrap": {"kind": "double"}},
)
