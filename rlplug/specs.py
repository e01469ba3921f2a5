"""What a plugin registers: metadata that is cheap to load, with import strings for heavy parts.

A spec module imports pydantic and nothing heavier, so that listing, help and completion never pay
for torch. The objects behind the import strings (`package.module:Name`) are imported only when
that algorithm or environment is used.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

ImportString = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
"""`package.module:Name`, imported when needed."""
ComponentName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$")]
"""Lower-case letters and digits, joined by single dashes, dots or underscores."""
SpaceKind = Literal["discrete", "multi-discrete", "multi-binary", "box", "image", "dict", "tuple"]
"""Kinds of observation and action spaces; `image` is a uint8 Box of three axes."""


class Spec(BaseModel):
    """Base of all specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainerSpec(Spec):
    """A training loop (`rlplug.trainers`)."""

    name: ComponentName
    summary: str
    config: ImportString
    """A `config.Config` subclass: the run's `train` section."""
    trainer: ImportString
    """A `protocols.Trainer`, built with the run's context."""
    replay_config: ImportString | None = None
    """A `config.Config` subclass: the run's `replay` section; None when the loop has no replay."""


class AlgorithmSpec(Spec):
    """A learning algorithm (`rlplug.algorithms`)."""

    name: ComponentName
    summary: str
    """One line, shown by `rlplug list`."""
    paper: str
    """Name, year, arXiv number; or where it comes from."""
    config: ImportString
    """A `config.Config` subclass: the run's `agent` section. Its module imports no torch."""
    agent: ImportString
    """A `protocols.Agent`, built by `Agent(config, AgentContext)`."""
    policy: ImportString
    """A `protocols.Policy`, built by `Policy(config, PolicyContext)`."""
    trainer: str = "off-policy"
    """Name of a registered trainer."""
    observation_spaces: tuple[SpaceKind, ...]
    action_spaces: tuple[SpaceKind, ...]
    features: frozenset[Literal["recurrent", "mask", "async", "offline"]] = frozenset()
    defaults: dict[str, Any] = {}
    """Settings by section that this algorithm sets over its config's defaults."""
    check: ImportString | None = None
    """`f(run_config)` raises ConfigError where sections do not fit together; imports no torch."""


class EnvironmentSpec(Spec):
    """One environment (`rlplug.environments`)."""

    name: str
    """Short name; a family's members are `family/member`."""
    summary: str
    make: ImportString | None = None
    """Builds one `gymnasium.Env` from keyword arguments; None when `gymnasium_id` is given."""
    make_vector: ImportString | None = None
    """Builds a native `gymnasium.vector.VectorEnv`: `f(num_envs, render_mode=None, **kwargs)`."""
    gymnasium_id: str | None = None
    """Passed to `gymnasium.make`."""
    config: ImportString = "rlplug.envs.config:EnvConfig"
    """A `config.Config` subclass: the run's `env` section."""
    state: ImportString | None = None
    """`envs.state.StateAccess`: reads and writes one environment's state, for exact resume."""
    aliases: tuple[str, ...] = ()
    """Other names for it, such as its Gymnasium id."""
    evaluation_kwargs: dict[str, Any] = {}
    """Keyword arguments that evaluation environments get on top."""


class EnvironmentFamily(Spec):
    """Many environments under one prefix (`atari/pong`), listed without importing a simulator."""

    name: ComponentName
    summary: str
    members: tuple[str, ...]
    """Short names; each also resolves alone where no other provider has it."""
    resolve: ImportString
    """`f(member) -> EnvironmentSpec`."""


class Preset(Spec):
    """Settings for one algorithm in one environment, and where they come from."""

    algorithm: str
    environment: str
    name: str = "default"
    source: str
    """Paper and table, or the command that found them."""
    scored: str = ""
    """What they reached, and after how many environment steps."""
    settings: dict[str, Any]
    """By section: agent, replay, env, train, evaluate, launch."""
