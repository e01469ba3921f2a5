"""What must hold between the sections of a value-family run. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from rlplug.algorithms.dqn.config import DqnConfig
    from rlplug.config import RunConfig
    from rlplug.replay.config import ReplayConfig


def check_sections(config: RunConfig) -> None:
    """Refuse a mix of agent and replay without a meaning.

    Raises:
        ConfigError: Munchausen's reward is a one-step quantity, so its horizon must be 1.
    """
    agent, replay = cast("DqnConfig", config.agent), cast("ReplayConfig", config.replay)
    if agent.bootstrap.kind == "munchausen" and replay.n_step != 1:
        msg = (
            f"replay.n_step is {replay.n_step}, but agent.bootstrap 'munchausen' adds the "
            "log-policy of one step to the reward and has no meaning over several. Set "
            "replay.n_step to 1, or agent.bootstrap to max or double."
        )
        raise ConfigError(msg)
