"""What the on-policy family registers. No torch here: heavy parts are import strings."""

from __future__ import annotations

from typing import Any, Literal

from rlplug.specs import AlgorithmSpec


def _spec(
    name: str,
    summary: str,
    paper: str,
    features: frozenset[Literal["async"]] = frozenset(),
    **sections: Any,
) -> AlgorithmSpec:
    """A member of the family: the same agent, other defaults."""
    return AlgorithmSpec(
        name=name,
        summary=summary,
        paper=paper,
        config="rlplug.algorithms.ppo.config:PpoConfig",
        agent="rlplug.algorithms.ppo.agent:PpoAgent",
        policy="rlplug.algorithms.ppo.policy:PpoPolicy",
        trainer="on-policy",
        check="rlplug.algorithms.ppo.check:check_sections",
        observation_spaces=(
            "box",
            "image",
            "discrete",
            "multi-discrete",
            "multi-binary",
            "dict",
            "tuple",
        ),
        action_spaces=("discrete", "multi-discrete", "multi-binary", "box", "dict", "tuple"),
        conformance=f"rlplug.algorithms.ppo.conformance:{name.upper().replace('-', '_')}",
        features=frozenset({"mask", "recurrent"} | features),
        defaults={"launch": {"num_envs": 8}, "env": {"action_mask": "info"}} | sections,
    )


_ASYNC: frozenset[Literal["async"]] = frozenset({"async"})
_ONE_GRADIENT_STEP: dict[str, Any] = {
    "objective": {"kind": "policy-gradient"},
    "epochs": 1,
    "batch_size": None,
    "normalize_advantages": "off",
}

PPO = _spec(
    "ppo",
    "Proximal policy optimisation: several epochs over each rollout, the policy's step clipped",
    "Schulman et al. 2017, arXiv:1707.06347",
)
RECURRENT_PPO = _spec(
    "recurrent-ppo",
    "PPO with an LSTM or GRU, for tasks where one observation does not tell enough",
    "Schulman et al. 2017, arXiv:1707.06347; LSTM: Hochreiter & Schmidhuber 1997",
    agent={"network": {"recurrent": {"kind": "lstm"}, "hidden_sizes": (64,)}, "batch_size": 256},
)
A2C = _spec(
    "a2c",
    "Advantage actor-critic: one gradient step on each short rollout",
    "Mnih et al. 2016, arXiv:1602.01783 (its synchronous form)",
    agent=_ONE_GRADIENT_STEP
    | {
        "advantage": {"kind": "gae", "lambda_": 1.0},  # section 4: n-step returns
        "entropy_coefficient": 0.01,  # section 5
        "optimizer": {
            "name": "rmsprop",
            "learning_rate": 7e-4,
            "arguments": {"alpha": 0.99, "eps": 1e-5},
        },
    },
    train={"rollout_length": 5},
)
REINFORCE = _spec(
    "reinforce",
    "Policy gradient with the returns of whole episodes; with advantage=gae, with a baseline",
    "Williams 1992, Machine Learning 8:229-256",
    agent=_ONE_GRADIENT_STEP | {"advantage": {"kind": "returns"}},
    train={"whole_episodes": True},
)
APPO = _spec(
    "appo",
    "Asynchronous PPO: learns from rollouts of older weights, corrected by V-trace",
    "Petrenko et al. 2020, arXiv:2006.11751; V-trace: Espeholt et al. 2018, arXiv:1802.01561",
    _ASYNC,
    agent={"advantage": {"kind": "vtrace", "lambda_": 0.95}},  # PPO's own lambda
)
IMPALA = _spec(
    "impala",
    "Actor-learners that never wait: one V-trace policy gradient step on each batch of rollouts",
    "Espeholt et al. 2018, arXiv:1802.01561",
    _ASYNC,
    agent=_ONE_GRADIENT_STEP
    | {
        "advantage": {"kind": "vtrace"},
        "entropy_coefficient": 0.01,  # the paper's for Atari, as unroll, rate and decay below
        "optimizer": {
            "name": "rmsprop",
            "learning_rate": 6e-4,
            "decay": "linear",
            "arguments": {"alpha": 0.99, "eps": 1e-5},  # a2c's: the paper's stand for sums
        },
    },
    train={"rollout_length": 20},
)
