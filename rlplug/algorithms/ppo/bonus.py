"""Intrinsic rewards: the bonus slot of the on-policy family.

class Novelty:
    def __init__(self, context: AgentContext, *, scale: float = 1.0) -> None: ...
    def __call__(self, rollout: Rollout) -> Tensor: ...      # [T, N]
    def update(self, rollout: Rollout) -> None: ...

--agent.bonus.entry my_package.novelty:Novelty --agent.bonus.weight 0.1
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol

from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from rlplug.algorithms.ppo.config import BonusConfig
    from rlplug.data import Rollout
    from rlplug.protocols import AgentContext, State


class Bonus(Protocol):
    """Built by `Bonus(context, **kwargs)`.

    The agent asks for the bonus of each rollout before it learns from it, and lets the bonus learn
    after its own last update with it.
    """

    def __call__(self, rollout: Rollout) -> Tensor:
        """Intrinsic rewards `[T, N]` float32 on the agent's device; changes nothing.

        What stands on rows that are not valid is ignored.
        """
        ...

    def update(self, rollout: Rollout) -> None:
        """Learn from a rollout."""
        ...

    def state_dict(self) -> State:
        """Everything that updating changes."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        ...


def build_bonus(config: BonusConfig, context: AgentContext) -> Bonus:
    """The bonus that `config` names.

    Raises:
        ConfigError: there is nothing under that name, or it does not take the arguments.
    """
    module, _, name = config.entry.partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
        bonus: Bonus = make(context, **config.kwargs)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"agent.bonus: {config.entry!r} with {config.kwargs} cannot be built ({error}). "
            "Expected 'package.module:Bonus' and its keyword arguments."
        ) from error
    return bonus
