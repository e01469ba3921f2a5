from __future__ import annotations

from typing import Any

import pytest
from actor_critic_world import Doors, DoorsByInfo

import rlplug


@pytest.mark.parametrize("make", [Doors, DoorsByInfo])
def test_masked_actions_are_never_tried_and_the_best_of_the_others_is_found(
    make: Any, tmp_path: Any
) -> None:
    settings = {
        "train.warmup_env_steps": 200,
        "agent.random_env_steps": 300,
        "agent.batch_size": 32,
        "agent.network.hidden_sizes": (32,),
        "agent.actor_optimizer.learning_rate": 3e-3,
        "agent.critic_optimizer.learning_rate": 3e-3,
        "agent.temperature": {"kind": "fixed", "value": 0.02},
        "tracking.console": "off",
    }
    result = rlplug.train("sac-discrete", make, steps=1500, run_dir=tmp_path, **settings)
    assert result.evaluation.mean_return > 0.99
