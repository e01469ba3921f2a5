"""What the value family registers. No torch here: heavy parts are import strings."""

from __future__ import annotations

from typing import Any

from rlplug.specs import AlgorithmSpec

_CONFORMANCE = {
    "scalar": "SCALAR",
    "categorical": "CATEGORICAL",
    "quantile": "QUANTILE",
    "implicit-quantile": "IMPLICIT",
}


def _spec(name: str, summary: str, paper: str, **sections: Any) -> AlgorithmSpec:
    """A member of the family: the same agent, other defaults."""
    head = sections.get("agent", {}).get("head", {}).get("kind", "scalar")
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
        conformance=f"rlplug.algorithms.dqn.conformance:{_CONFORMANCE[head]}",
    )


_NOISY: dict[str, Any] = {"exploration": {"kind": "noisy"}, "network": {"noisy": {}}}
_QUANTILE_ADAM: dict[str, Any] = {"learning_rate": 5e-5, "arguments": {"eps": 0.01 / 32}}
_RAINBOW_REPLAY: dict[str, Any] = {
    "n_step": 3,
    "sampler": {"kind": "prioritized", "priority_exponent": 0.5},  # table 1
}


def _rainbow_agent(head: dict[str, Any]) -> dict[str, Any]:
    """Everything at once (Hessel et al. 2018, table 1), over any head."""
    return {
        "head": head,
        "bootstrap": {"kind": "double"},
        "exploration": {"kind": "noisy"},
        "network": {"dueling": True, "noisy": {"initial_sigma": 0.5}},
        "optimizer": {"learning_rate": 6.25e-5, "arguments": {"eps": 1.5e-4}},
    }


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
DUELING_DQN = _spec(
    "dueling-dqn",
    "DQN with separate streams for the value of a state and the advantages of its actions",
    "Wang et al. 2016, arXiv:1511.06581",
    agent={
        "bootstrap": {"kind": "double"},  # section 4.2: trained with double Q-learning
        "network": {"dueling": True},
        "optimizer": {"max_gradient_norm": 10.0},  # section 4.2
    },
)
N_STEP_DQN = _spec(
    "n-step-dqn",
    "DQN on returns over several steps: rewards arrive sooner",
    "Hessel et al. 2018, arXiv:1710.02298, table 1 (n = 3); Sutton & Barto 2018, chapter 7",
    replay={"n_step": 3},
)
PER_DQN = _spec(
    "per-dqn",
    "Double DQN that replays surprising transitions more often",
    "Schaul et al. 2016, arXiv:1511.05952, proportional variant (alpha 0.6, beta 0.4 to 1)",
    agent={"bootstrap": {"kind": "double"}},  # section 4: on top of double DQN
    replay={"sampler": {"kind": "prioritized"}},
)
NOISY_DQN = _spec(
    "noisy-dqn",
    "DQN that explores by learned noise in its layers instead of random actions",
    "Fortunato et al. 2018, arXiv:1706.10295",
    agent=_NOISY,
)
C51 = _spec(
    "c51",
    "Learns the distribution of returns as probabilities of fixed values",
    "Bellemare et al. 2017, arXiv:1707.06887",
    agent={
        "head": {"kind": "categorical"},
        "optimizer": {"learning_rate": 2.5e-4, "arguments": {"eps": 0.01 / 32}},  # appendix
    },
)
QR_DQN = _spec(
    "qr-dqn",
    "Learns the distribution of returns as quantiles at fixed fractions",
    "Dabney et al. 2018, arXiv:1710.10044",
    agent={"head": {"kind": "quantile"}, "optimizer": _QUANTILE_ADAM},
)
IQN = _spec(
    "iqn",
    "Learns the distribution of returns as quantiles at sampled fractions; may avoid risk",
    "Dabney et al. 2018, arXiv:1806.06923",
    agent={"head": {"kind": "implicit-quantile"}, "optimizer": _QUANTILE_ADAM},
)
M_DQN = _spec(
    "m-dqn",
    "DQN with a softmax policy whose log-probability is part of the reward",
    "Vieillard et al. 2020, arXiv:2007.14430 (alpha 0.9, tau 0.03, l0 -1)",
    agent={
        "bootstrap": {"kind": "munchausen"},
        "optimizer": {"learning_rate": 5e-5, "arguments": {"eps": 0.01 / 32}},  # appendix
    },
)
M_IQN = _spec(
    "m-iqn",
    "IQN with Munchausen's reward",
    "Vieillard et al. 2020, arXiv:2007.14430",
    agent={
        "head": {"kind": "implicit-quantile"},
        "bootstrap": {"kind": "munchausen"},
        "optimizer": _QUANTILE_ADAM,
    },
)
RAINBOW = _spec(
    "rainbow",
    "C51 with double, dueling, noisy layers, three-step returns and prioritised replay",
    "Hessel et al. 2018, arXiv:1710.02298, table 1",
    agent=_rainbow_agent({"kind": "categorical"}),
    replay=_RAINBOW_REPLAY,
)
RAINBOW_IQN = _spec(
    "rainbow-iqn",
    "Rainbow with implicit quantiles in place of fixed atoms",
    "Toromanoff et al. 2019, arXiv:1908.04683",
    agent=_rainbow_agent({"kind": "implicit-quantile"}),
    replay=_RAINBOW_REPLAY,
)
APE_X = _spec(
    "ape-x",
    "Many actors, each with an epsilon of its own, fill a replay with priorities they computed",
    "Horgan et al. 2018, arXiv:1803.00933, appendix",
    agent={
        "bootstrap": {"kind": "double"},
        "exploration": {"kind": "epsilon", "epsilon": 0.4, "ladder_exponent": 7},
        "network": {"dueling": True},
        "optimizer": {
            "name": "rmsprop",
            "learning_rate": 2.5e-4 / 4,
            "arguments": {"alpha": 0.95, "eps": 1.5e-7, "centered": True},
            "max_gradient_norm": 40.0,
        },
    },
    replay={
        "n_step": 3,
        "sampler": {
            "kind": "prioritized",
            "priority_exponent": 0.6,
            "importance_exponent": 0.4,
            "new_priority": "policy",
        },
    },
    launch={"num_envs": 8},  # a ladder needs rungs
)
