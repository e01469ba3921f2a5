"""What must hold between the sections of an on-policy run. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rlplug.algorithms.ppo.spec import APPO, IMPALA
from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from rlplug.algorithms.ppo.config import PpoConfig
    from rlplug.config import RunConfig


def check_sections(config: RunConfig) -> None:
    """Refuse returns that a rollout would cut short, and old data that nothing corrects for.

    Raises:
        ConfigError: without a value function nothing stands for what follows the rollout; without
            V-trace the rollouts of workers that never wait are those of another policy.
    """
    agent = cast("PpoConfig", config.agent)
    whole_episodes = getattr(config.train, "whole_episodes", True)
    if agent.advantage.kind == "returns" and not whole_episodes:
        msg = (
            "agent.advantage is 'returns' and train.whole_episodes is false: without a value "
            "function, nothing stands for the rewards after a rollout's end. Set "
            "train.whole_episodes to true, or agent.advantage to gae."
        )
        raise ConfigError(msg)
    is_meant_for_it = config.algorithm in {APPO.name, IMPALA.name}
    if is_meant_for_it and config.launch.mode == "async" and agent.advantage.kind != "vtrace":
        msg = (
            f"agent.advantage is {agent.advantage.kind!r} and launch.mode is 'async': it takes "
            "rollouts of older weights for the newest ones' own. Set agent.advantage to vtrace, or "
            "launch.mode to sync."
        )
        raise ConfigError(msg)
