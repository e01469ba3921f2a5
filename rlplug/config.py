"""Validated settings: the base of every config, and the one object that describes a run.

The command line, a YAML file and the Python API all build a `RunConfig` (`rlplug.resolve` merges
their layers). Configs are frozen, an unknown key is an error, and every field carries its meaning
in the docstring below it, which help and completion show. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads annotations
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    model_validator,
)


class Config(BaseModel):
    """Base of all settings: frozen, no unknown keys, no NaN, described by field docstrings."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )
    bundles: ClassVar[dict[str, dict[str, dict[str, Any]]]] = {}
    """Fields of which one value stands for several settings: `{field: {value: settings}}`. What is
    set beside such a field, or in a later layer, wins over what its value stands for."""

    @model_validator(mode="before")
    @classmethod
    def _unbundle(cls, values: Any) -> Any:
        return cls.unbundled(values) if cls.bundles and isinstance(values, dict) else values

    @classmethod
    def unbundled(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values`, below them what those that are bundles stand for."""
        below: dict[str, Any] = {}
        for field, meanings in cls.bundles.items():
            below |= meanings.get(str(values.get(field)), {})
        return below | dict(values)


def _whole_number(value: Any) -> Any:
    """Turn 1e5, "1e5" and "100_000" into 100000; leave all else to pydantic's own check."""
    if isinstance(value, str):
        try:
            value = float(value.replace("_", ""))
        except ValueError:
            return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _kind_object(value: Any) -> Any:
    """Let a slot be chosen by its kind alone: "uniform" means {"kind": "uniform"}."""
    return {"kind": value} if isinstance(value, str) else value


Count = Annotated[int, BeforeValidator(_whole_number)]
"""A whole number that may be written as 1e6."""
Slot = BeforeValidator(_kind_object)
"""Annotates a tagged union whose tag is `kind`, so that the bare tag chooses its defaults."""


class ConstantSchedule(Config):
    """The same value for the whole run."""

    kind: Literal["constant"] = "constant"
    value: float
    """The value."""


class LinearSchedule(Config):
    """A straight line from `start` to `end`, then `end`."""

    kind: Literal["linear"] = "linear"
    start: float
    """Value at step 0."""
    end: float
    """Value from the end of the line on."""
    env_steps: Annotated[Count, Field(gt=0)] | None = None
    """Length of the line in environment steps; None spans `fraction` of the run."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the run that the line takes, where `env_steps` is None."""


class ExponentialSchedule(Config):
    """`end + (start - end) * 0.5 ** (step / half_life)`."""

    kind: Literal["exponential"] = "exponential"
    start: float
    """Value at step 0."""
    end: float
    """The limit."""
    half_life_env_steps: Annotated[Count, Field(gt=0)]
    """Environment steps after which half of the distance is left."""


class PiecewiseSchedule(Config):
    """Straight lines between points; constant before the first and after the last."""

    kind: Literal["piecewise"] = "piecewise"
    points: Annotated[tuple[tuple[Count, float], ...], Field(min_length=1)]
    """(environment step, value), steps strictly increasing."""

    @model_validator(mode="after")
    def _increasing(self) -> PiecewiseSchedule:
        steps = [step for step, _ in self.points]
        if any(later <= earlier for earlier, later in pairwise(steps)):
            msg = f"the steps of its points, {steps}, must increase strictly"
            raise ValueError(msg)
        return self


def _constant(value: Any) -> Any:
    """A bare number is a constant schedule."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return {"kind": "constant", "value": value}
    if isinstance(value, str):
        try:
            return {"kind": "constant", "value": float(value)}
        except ValueError:
            return value
    return value


Schedule = Annotated[
    Annotated[
        ConstantSchedule | LinearSchedule | ExponentialSchedule | PiecewiseSchedule,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_constant),
]
"""A value over environment steps; a bare number is constant."""


class EvaluateConfig(Config):
    """The run's `evaluate` section: whole episodes, raw returns, own environments and seeds."""

    every_env_steps: Annotated[Count, Field(gt=0)] | None = None
    """Environment steps between evaluations; None means a tenth of the run."""
    episodes: Annotated[Count, Field(gt=0)] = 10
    """Episodes of each evaluation during training."""
    final_episodes: Annotated[Count, Field(gt=0)] = 50
    """Episodes of the evaluation that ends the run."""
    num_envs: Annotated[Count, Field(gt=0)] = 10
    """Environments that the episodes are split over, evenly and in advance."""
    mode: Literal["greedy", "sample"] = "greedy"
    """How actions are chosen: greedy draws nothing."""
    where: Literal["inline", "process", "auto"] = "auto"
    """`inline`: training waits; `process`: a process of its own plays with the weights of that
    moment while training goes on; auto is process where Ray steps the environments."""


class LaunchConfig(Config):
    """The run's `launch` section: where environments run, and how many."""

    launcher: Literal["local", "ray", "auto"] | None = None
    """`local` steps all environments in this process, `ray` has processes of its own step them,
    `auto` measures a step and takes the faster; None is ray where several workers are asked for."""
    mode: Literal["sync", "async"] = "sync"
    """`sync`: all workers act with the same weights and wait for the learner's next; `async`: they
    never wait, and act with the newest weights there are. Only Ray's workers can."""
    num_envs: Annotated[Count, Field(gt=0)] = 1
    """Environments of the whole run, divided over the workers."""
    workers: Annotated[Count, Field(gt=0)] | Literal["auto"] = 1
    """Workers; each has at least one environment. auto measures a step and takes what pays."""
    envs_per_worker: Annotated[Count, Field(gt=0)] | None = None
    """Environments of each worker, outright; None divides `num_envs`."""
    threads: Annotated[Count, Field(gt=0)] | Literal["auto"] = "auto"
    """Threads torch computes with; auto is 1 for small updates, 2 for larger ones, and one for each
    core for networks with convolutions and their like. One in each of Ray's workers, unless a
    number is given."""
    cluster: Annotated[str, Field(min_length=1)] = "none"
    """Ray cluster to join: none starts one here for the run, auto takes the one that runs on this
    machine, else an address: HOST:PORT or ray://HOST:PORT."""
    env_timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    """A worker that needs longer for one step of its environments is replaced."""
    start_timeout_seconds: Annotated[float, Field(gt=0)] = 180.0
    """Workers that are not there after this long end the run."""
    max_restarts: Annotated[Count, Field(ge=0)] = 20
    """Workers replaced over the whole run, whatever ended them; one more ends the run."""

    @model_validator(mode="after")
    def _fits(self) -> LaunchConfig:
        wants = f"mode {self.mode}" if self.mode == "async" else f"cluster {self.cluster}"
        if self.launcher == "local" and (self.mode == "async" or self.cluster != "none"):
            msg = f"{wants} needs the launcher ray; launcher is local"
            raise ValueError(msg)
        return self

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to measure or to conclude."""
        return self.launcher in {"local", "ray"} and self.workers != "auto"

    @property
    def num_workers(self) -> int:
        """Workers; 1 as long as their number is still to be found."""
        return 1 if self.workers == "auto" else self.workers

    @property
    def envs_of_workers(self) -> tuple[int, ...]:
        """Environments of each worker, which differ by one where they cannot be equal."""
        total, workers = self.total_envs, self.num_workers
        return tuple(total * (w + 1) // workers - total * w // workers for w in range(workers))

    @property
    def total_envs(self) -> int:
        """Environments of the run over all workers."""
        if self.envs_per_worker is not None:
            return self.num_workers * self.envs_per_worker
        return max(self.num_envs, self.num_workers)


class CheckpointConfig(Config):
    """The run's `checkpoint` section. One more is written at the start, at the end, on a signal."""

    every_env_steps: Annotated[Count, Field(gt=0)] | None = None
    """Environment steps between checkpoints; None means a tenth of the run."""
    enabled: bool = True
    """False writes none at all: nothing can be resumed, evaluated or loaded."""
    keep_last: Annotated[Count, Field(gt=0)] | Literal["all"] = 2
    """Newest checkpoints to keep, or `all`."""
    keep_every_env_steps: Annotated[Count, Field(gt=0)] | None = None
    """Also keep the first checkpoint of every so many environment steps; None keeps no more."""
    keep_best: bool = True
    """Also keep the checkpoint with the best evaluation."""
    save_replay: bool = True
    """Store the replay too; without it a resumed run warms up again."""
    on_error: Literal["warn", "stop"] = "warn"
    """When one cannot be written: `warn` trains on and tries again at the next, `stop` ends the
    run. The one at the end, and on a signal, must succeed either way."""


class StopConfig(Config):
    """The run's `stop` section: when to end before the last environment step."""

    target_return: float | None = None
    """Stop once the mean return of an evaluation reaches this."""
    patience_evaluations: Annotated[Count, Field(gt=0)] | None = None
    """Stop after so many evaluations in a row that were no better than the best before them."""
    min_improvement: Annotated[float, Field(ge=0)] = 0.0
    """How much an evaluation's mean return must exceed the best to be better."""
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    """Stop after so many seconds; those before a resume count."""


class TrackingConfig(Config):
    """The run's `tracking` section."""

    report_every_env_steps: Annotated[Count, Field(gt=0)] | None = None
    """Environment steps between reports; None means a hundredth of the run."""
    console: Literal["auto", "rich", "plain", "off"] = "auto"
    """Live progress on a terminal, one line per report elsewhere."""
    trackers: tuple[str, ...] = ()
    """Registered trackers to write to, beside `metrics.jsonl`."""
    tensorboard: Literal["auto"] | bool = "auto"
    """TensorBoard events; auto writes them where the tensorboard package is installed."""


class RunConfig(Config):
    """Everything that decides a run; written to its folder as `config.yaml`."""

    algorithm: str
    """Registered name."""
    environment: str
    """Registered name, `family/member`, or a Gymnasium id."""
    seed: Annotated[Count, Field(ge=0)] = 0
    """The one seed that every generator of the run derives from."""
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`; auto is cuda where there is one."""
    agent: SerializeAsAny[Config]
    """The algorithm's settings; typed by its spec."""
    replay: SerializeAsAny[Config] | None = None
    """Typed by the trainer; None for a loop without replay."""
    env: SerializeAsAny[Config]
    """Typed by the environment's spec."""
    train: SerializeAsAny[Config]
    """Typed by the trainer."""
    evaluate: EvaluateConfig = EvaluateConfig()
    launch: LaunchConfig = LaunchConfig()
    stop: StopConfig = StopConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    tracking: TrackingConfig = TrackingConfig()
    hooks: dict[str, dict[str, Any]] = {}
    """Settings of installed hooks, by the name of their entry point."""
