"""Values that are known in advance, reached by the real agent, replay, collector and adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from value_family_world import Run, on_probe

from rlplug.testing.probes import PROBES

if TYPE_CHECKING:
    from pathlib import Path

TABLE: dict[str, Any] = {
    "agent.network.encoder.hidden_sizes": [],
    "agent.network.hidden_sizes": [],
    "agent.head.huber_threshold": None,
    "agent.optimizer": {"name": "sgd", "learning_rate": 0.5},
    "agent.target_update_every_updates": 10,
    "agent.exploration.epsilon": 1.0,
    "replay.gamma": 0.9,
    "train.steps": 300,
    "train.warmup_env_steps": 100,
    "train.collect_env_steps": 100,
    "train.updates_per_env_step": 4,
    "launch.num_envs": 3,
}
"""Linear in a one-hot observation, which makes a table of the network."""
modes_and_horizons = pytest.mark.parametrize(
    ("mode", "n_step"), [("SameStep", 1), ("SameStep", 5), ("NextStep", 2), ("Disabled", 3)]
)


def learned_values(run: Run, probe: str) -> Any:
    """`[S, A]` what the agent expects of each action in each state of the probe."""
    observations = torch.from_numpy(PROBES[probe].make().observations)
    run.train()
    with torch.inference_mode():
        return run.agent.online.q_values(observations).numpy()


@modes_and_horizons
def test_constant_reward_is_worth_its_endless_sum_when_truncated(
    mode: str, n_step: int, tmp_path: Path
) -> None:
    settings = TABLE | {"replay.n_step": n_step}
    run = Run(on_probe("dqn", settings, probe="truncation", mode=mode), tmp_path)
    np.testing.assert_allclose(learned_values(run, "truncation"), 10.0, atol=0.02)


@modes_and_horizons
def test_constant_reward_is_worth_its_finite_sum_when_terminated(
    mode: str, n_step: int, tmp_path: Path
) -> None:
    settings = TABLE | {"replay.n_step": n_step}
    run = Run(on_probe("dqn", settings, probe="termination", mode=mode), tmp_path)
    expected = np.array([[1 + 0.9 + 0.81], [1 + 0.9], [1]]) + np.zeros(2)
    np.testing.assert_allclose(learned_values(run, "termination"), expected, atol=0.01)


@modes_and_horizons
def test_windows_never_cross_a_truncation(mode: str, n_step: int, tmp_path: Path) -> None:
    settings = TABLE | {"replay.n_step": n_step}
    run = Run(on_probe("dqn", settings, probe="n-step-truncation", mode=mode), tmp_path)
    expected = PROBES["n-step-truncation"].make().expected_q_values(0.9)
    np.testing.assert_allclose(learned_values(run, "n-step-truncation"), expected, atol=0.01)
