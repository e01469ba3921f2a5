"""What a plugin registers: metadata that is cheap to load, with import strings for heavy parts.

A spec module imports pydantic and nothing heavier, so that listing, help and completion never pay
for torch. The objects behind the import strings (`package.module:Name`) are imported only when
that algorithm or environment is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

ImportString = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
"""`package.module:Name`, imported when needed."""
ComponentName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$")]
"""Lower-case letters and digits, joined by single dashes, dots or underscores."""
SpaceKind = Literal["discrete", "multi-discrete", "multi-binary", "box", "image", "dict", "tuple"]
"""Kinds of observation and action spaces; `image` is a uint8 Box of three axes."""


class Spec(BaseModel):
    """Base of all specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Flip(Spec):
    """One way to change a setting so that the change shows."""

    value: Any
    """What the setting is changed to."""
    on: dict[str, Any] = {}
    """Settings of the run before and after, by dotted name, under which it has an effect."""
    kind: str | None = None
    """The kind of slot that the setting belongs to, where several have one of this name."""


class AlgorithmConformance(Spec):
    """What an algorithm's author tells the conformance kit (`AlgorithmSpec.conformance`).

    An algorithm of a few settings and a value among the extras of its policy needs none.
    """

    small: dict[str, Any] = {}
    """Settings, by dotted name, that make a run quick and leave the algorithm what it is."""
    learning: dict[str, Any] = {}
    """Settings on top, under which it learns a problem of three states in a second or two."""
    value: ImportString | None = None
    """`f(agent, observation) -> [T, N]` values of whole episodes `[T, N, *obs]`; None takes the
    policy's extra `value`."""
    no_value: str = ""
    """Why there is no value to read, where the algorithm learns none."""
    flips: dict[str, tuple[Flip, ...]] = {}
    """By dotted setting: how to change what the kit cannot change by itself."""
    without_effect: dict[str, str] = {}
    """Settings that change nothing a run learns, does or times, each with the reason."""
    settings_of: ImportString | None = None
    """The spec of the algorithm with which the settings are tried, where several are one config,
    agent, policy and trainer under different defaults; None tries them with this one."""
    expected_failures: dict[str, str] = {}
    """Checks that fail, each with the reason; one that passes after all is reported."""


class EnvironmentConformance(Spec):
    """What an environment's author tells the conformance kit (`EnvironmentSpec.conformance`)."""

    is_deterministic: bool = False
    """Every episode is the same under the same actions, whatever the seed."""
    expected_failures: dict[str, str] = {}
    """Checks that fail, each with the reason; one that passes after all is reported."""


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
    conformance: ImportString | None = None
    """An `AlgorithmConformance`: what the conformance kit cannot find out by itself."""


class ScoreRange(Spec):
    """What returns normalised scores of 0 and of 1 stand for."""

    low: float
    """Return that scores 0."""
    high: float
    """Return that scores 1; above `low`."""
    where: dict[str, Any] = {}
    """Settings of the `env` section that it holds for; empty for any."""

    @model_validator(mode="after")
    def _is_a_range(self) -> ScoreRange:
        if self.high <= self.low:
            msg = f"high is {self.high}; expected more than low, which is {self.low}"
            raise ValueError(msg)
        return self

    def normalize(self, episode_return: float) -> float:
        """The score of a return."""
        return (episode_return - self.low) / (self.high - self.low)


class EnvironmentSpec(Spec):
    """One environment (`rlplug.environments`)."""

    name: str
    """Short name; a family's members are `family/member`."""
    summary: str
    make: ImportString | None = None
    """Builds one `gymnasium.Env` from keyword arguments; None when `gymnasium_id` is given."""
    make_vector: ImportString | None = None
    """Builds a native `gymnasium.vector.VectorEnv`: `f(num_envs, render_mode=None, **kwargs)`. It
    may return None where it cannot do what is asked for, and `make` then builds each one."""
    gymnasium_id: str | None = None
    """Passed to `gymnasium.make`."""
    kwargs: dict[str, Any] = {}
    """Keyword arguments of the maker that make it this environment, such as a game's name."""
    vectorize: Literal["sync", "async"] = "sync"
    """How several of `make` step together by default: `async`, each in a process of its own, where
    a step costs more than handing it over and back."""
    config: ImportString = "rlplug.envs.config:EnvConfig"
    """A `config.Config` subclass: the run's `env` section."""
    state: ImportString | None = None
    """`envs.state.StateAccess`: reads and writes one environment's state, for exact resume."""
    aliases: tuple[str, ...] = ()
    """Other names for it, such as its Gymnasium id."""
    evaluation_kwargs: dict[str, Any] = {}
    """Keyword arguments that evaluation environments get on top."""
    conformance: ImportString | None = None
    """An `EnvironmentConformance`: what the conformance kit cannot find out by itself."""
    evaluation_sets: dict[ComponentName, dict[str, Any]] = {}
    """Sets to evaluate on, such as training levels and all levels: by name, keyword arguments over
    `evaluation_kwargs`. The first is the evaluation, the others are reported beside it."""
    score_ranges: tuple[ScoreRange, ...] = ()
    """The first whose `where` fits the run's settings normalises its evaluations."""

    @property
    def set_names(self) -> tuple[str, ...]:
        """Of the evaluation sets; one empty name where there is but one set."""
        return tuple(self.evaluation_sets) or ("",)

    def score_range(self, settings: Mapping[str, Any]) -> ScoreRange | None:
        """What normalises returns under these settings of the `env` section, if anything does."""
        for one in self.score_ranges:
            if all(settings.get(name) == value for name, value in one.where.items()):
                return one
        return None


class EnvironmentFamily(Spec):
    """Many environments under one prefix (`atari/pong`), listed without importing a simulator."""

    name: ComponentName
    summary: str
    members: tuple[str, ...]
    """Short names; each also resolves alone where no other provider has it."""
    resolve: ImportString
    """`f(member) -> EnvironmentSpec`."""
    aliases: dict[str, str] = {}
    """Members by their other names, such as a Gymnasium id."""
    config: ImportString | None = None
    """The `config` that all members share, which help and completion then know."""


class NetworkSpec(Spec):
    """An encoder that agents can be told to use (`rlplug.networks`)."""

    name: ComponentName
    summary: str
    """One line, shown by `rlplug info`."""
    config: ImportString
    """A `config.Config` subclass: `agent.network.encoder.settings`. Its module imports no torch."""
    build: ImportString
    """`f(config, observation_space) -> nn.encoders.Encoder`, with torch's global generator."""


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
