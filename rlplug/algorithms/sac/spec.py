"""What soft actor-critic registers. No torch here: heavy parts are import strings."""

from __future__ import annotations

from typing import Any

from rlplug.specs import AlgorithmSpec, SpaceKind

_OBSERVATIONS: tuple[SpaceKind, ...] = (
    "box",
    "image",
    "discrete",
    "multi-discrete",
    "multi-binary",
    "dict",
    "tuple",
)
_DEFAULTS: dict[str, Any] = {
    "train": {"collect_env_steps": 1, "warmup_env_steps": 1_000, "updates_per_env_step": 1.0},
    "replay": {"capacity": 1_000_000},
}

SAC = AlgorithmSpec(
    name="sac",
    summary="Soft actor-critic: off-policy, stochastic, for continuous actions",
    paper="Haarnoja et al. 2018, arXiv:1812.05905",
    config="rlplug.algorithms.sac.config:SacConfig",
    agent="rlplug.algorithms.sac.agent:SacAgent",
    policy="rlplug.algorithms.sac.policy:SacPolicy",
    observation_spaces=_OBSERVATIONS,
    action_spaces=("box",),
    defaults=_DEFAULTS,
    conformance="rlplug.algorithms.sac.conformance:BOTH",
)
SAC_DISCRETE = AlgorithmSpec(
    name="sac-discrete",
    summary="Soft actor-critic for discrete actions: expectations in place of draws",
    paper="Christodoulou 2019, arXiv:1910.07207",
    config="rlplug.algorithms.sac.config:DiscreteSacConfig",
    agent="rlplug.algorithms.sac.agent:SacAgent",
    policy="rlplug.algorithms.sac.policy:SacPolicy",
    observation_spaces=_OBSERVATIONS,
    action_spaces=("discrete",),
    features=frozenset({"mask"}),
    defaults=_DEFAULTS | {"env": {"action_mask": "info"}},
    conformance="rlplug.algorithms.sac.conformance:BOTH",
)
