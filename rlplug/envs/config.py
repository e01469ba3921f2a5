"""Settings of an environment. No gymnasium here: help and completion read this module."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rlplug.config import Config, Count
from rlplug.specs import ImportString


def _entry_alone(value: Any) -> Any:
    """Let the import string alone stand for a wrapper without arguments."""
    return {"entry": value} if isinstance(value, str) else value


class WrapperConfig(Config):
    """A Gymnasium wrapper around each environment; its import string alone is enough."""

    entry: ImportString
    """`package.module:Wrapper`, called with the environment first."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the wrapper."""


class EnvConfig(Config):
    """The run's `env` section.

    Fields that a subclass adds are keyword arguments of the environment's maker, by their names.
    """

    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the environment."""
    wrappers: tuple[Annotated[WrapperConfig, BeforeValidator(_entry_alone)], ...] = ()
    """Wrappers around each environment; the first is the innermost."""
    max_episode_steps: Annotated[Count, Field(gt=0)] | None = None
    """Environment steps after which an episode is truncated; None keeps the environment's own."""
    action_mask: Literal["observation", "info"] = "observation"
    """Where action masks are: under `action_mask` in a Dict observation, or also in the info, from
    where they are brought into the observation; one reset of the environment shows whether."""
    vectorize: Literal["auto", "sync", "async"] = "auto"
    """`sync` steps environments in turn, `async` each in a process of its own; auto is the
    environment's native vector form where it has one, else what suits the environment."""
    evaluation_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments that evaluation environments get on top of `kwargs`."""
    check: bool = True
    """Refuse observations and rewards that are not finite or not of the declared shape and dtype;
    off, numpy casts what it can."""
