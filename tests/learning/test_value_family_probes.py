"""Every member of the value family learns the known values and actions of the probe environments.

The probe that fails first, in the order of `PROBES`, names the part that is broken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from value_family_world import Run, members, on_probe, resolved

from rlplug.testing.probes import PROBES

if TYPE_CHECKING:
    from pathlib import Path

GAMMA = 0.9
FAST: dict[str, Any] = {
    "agent.network.encoder.hidden_sizes": [32],
    "agent.network.hidden_sizes": [32],
    "agent.optimizer.learning_rate": 5e-3,
    "agent.optimizer.decay": "linear",
    "agent.batch_size": 32,
    "agent.target_update_every_updates": 1,
    "agent.target_update_rate": 0.1,
    "replay.gamma": GAMMA,
    "train.steps": 600,
    "train.warmup_env_steps": 100,
    "train.collect_env_steps": 16,
    "train.updates_per_env_step": 2,
    "launch.num_envs": 8,
}
HEADS: dict[str, dict[str, Any]] = {
    "scalar": {},
    "categorical": {"num_atoms": 29, "min_return": -2.0, "max_return": 12.0},
    "quantile": {"num_quantiles": 16},
    "implicit-quantile": {"num_cosines": 16, "num_samples": 8, "num_target_samples": 8},
}
SOLVABLE = [name for name, probe in PROBES.items() if not probe.is_box and not probe.needs_memory]


def fast(algorithm: str) -> dict[str, Any]:
    """Settings with which a member learns within seconds; what it is stays as it is."""
    agent: Any = resolved(algorithm).config.agent
    settings = FAST | {"agent.head": {"kind": agent.head.kind} | HEADS[agent.head.kind]}
    if agent.exploration.kind == "epsilon":
        settings["agent.exploration.epsilon"] = 1.0
    return settings


@pytest.mark.learning
@pytest.mark.parametrize("algorithm", members())
@pytest.mark.parametrize("probe", SOLVABLE)
def test_values_and_actions_are_learned(probe: str, algorithm: str, tmp_path: Path) -> None:
    run = Run(on_probe(algorithm, fast(algorithm), probe=probe), tmp_path).train()
    environment: Any = PROBES[probe].make()
    observations, expected = environment.observations, environment.expected_value(GAMMA)
    action = run.policy(len(observations)).act(observations, None, mode="greedy").action
    with torch.inference_mode():
        values = run.agent.online.q_values(torch.from_numpy(observations)).amax(1).numpy()
    failure = f"{algorithm} fails the probe '{probe}'"
    np.testing.assert_allclose(values, expected, rtol=0.05, atol=0.05, err_msg=failure)
    column = action - int(environment.action_space.start)
    chosen = environment.expected_q_values(GAMMA)[np.arange(len(column)), column]
    np.testing.assert_allclose(chosen, expected, err_msg=f"{failure}: its actions {action}")
