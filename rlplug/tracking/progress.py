"""The numbers that a run shows of itself, and the one line that tells them."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rlplug.data import EpisodeStats
    from rlplug.tracking.trackers import Evaluation

RECENT_EPISODES = 100
_LOSSES_IN_LINE = 4
_TOLD_IN_WORDS = {
    "episode_return", "episode_length", "episodes", "updates", "updates_per_env_step",
    "steps_per_second", "training_seconds",
}  # fmt: skip
"""Metrics that have a place of their own."""


class Return(NamedTuple):
    """Mean over recent training episodes."""

    mean: float
    episodes: int


class Evaluated(NamedTuple):
    """The newest evaluation."""

    mean: float
    std: float
    env_steps: int


class Progress:
    """Where a run is; fed by the console."""

    def __init__(
        self,
        total_env_steps: int,
        *,
        start_env_steps: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at `start_env_steps`, which a resumed run has behind it."""
        self.total_env_steps = total_env_steps
        self.env_steps = start_env_steps
        self.recent_return: Return | None = None
        self.evaluation: Evaluated | None = None
        self.metrics: dict[str, float] = {}
        self._returns: deque[float] = deque(maxlen=RECENT_EPISODES)
        self._start_env_steps = start_env_steps
        self._clock = clock
        self._started = clock()

    def report(self, env_steps: int, metrics: Mapping[str, float]) -> None:
        """Take a report; what is not finite in it counts as not there."""
        self.env_steps = env_steps
        self.metrics = {name: value for name, value in metrics.items() if math.isfinite(value)}
        if "episode_return" in self.metrics and "episodes" in self.metrics:
            count = int(self.metrics["episodes"])
            self.recent_return = Return(self.metrics["episode_return"], count)

    def advance(self, env_steps: int) -> None:
        """Take the step counter alone."""
        self.env_steps = max(self.env_steps, env_steps)

    def episode(self, episode: EpisodeStats) -> None:
        """Count a finished training episode."""
        self.advance(episode.env_steps)
        self._returns.append(episode.episode_return)
        count = len(self._returns)
        # a resumed run's reports know more episodes than were seen here
        if self.recent_return is None or count >= self.recent_return.episodes:
            self.recent_return = Return(math.fsum(self._returns) / count, count)

    def evaluated(self, env_steps: int, report: Evaluation) -> None:
        """Take an evaluation."""
        self.evaluation = Evaluated(report.mean_return, report.std_return, env_steps)

    @property
    def elapsed(self) -> float:
        """Seconds since the process began to train."""
        return self._clock() - self._started

    @property
    def steps_per_second(self) -> float | None:
        """Of the last report, which counts training alone; before it, of all the time so far."""
        if "steps_per_second" in self.metrics:
            return self.metrics["steps_per_second"]
        new = self.env_steps - self._start_env_steps
        return new / self.elapsed if new and self.elapsed > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At the present speed."""
        speed = self.steps_per_second
        return max(self.total_env_steps - self.env_steps, 0) / speed if speed else None

    @property
    def losses(self) -> dict[str, float]:
        """Metrics that are losses."""
        return {
            name: value
            for name, value in self.metrics.items()
            if name == "loss" or name.endswith(("_loss", "/loss"))
        }

    @property
    def other_metrics(self) -> dict[str, float]:
        """Metrics that are neither losses nor told in words."""
        known = _TOLD_IN_WORDS | set(self.losses)
        return {name: value for name, value in self.metrics.items() if name not in known}

    def steps(self) -> str:
        """`12,000/50,000`."""
        return f"{self.env_steps:,}/{self.total_env_steps:,}"

    def percent(self) -> str:
        """`24%`: the share that is done, rounded down; whole vector steps may go beyond the end."""
        return f"{min(100, 100 * self.env_steps // self.total_env_steps)}%"

    def line(self) -> str:
        """Everything in one line; what is not known yet is left out."""
        width = 2 * len(f"{self.total_env_steps:,}") + 1
        return "  " + "  ".join(
            [self.steps().rjust(width), self.percent().rjust(3), *self._parts()]
        )

    def _parts(self) -> Iterator[str]:
        if (speed := self.steps_per_second) is not None:
            yield f"{speed:,.0f} steps/s"
        if (left := self.seconds_left) is not None:
            yield f"left {duration(left)}"
        if self.recent_return is not None:
            yield f"return {score(self.recent_return.mean)} (last {self.recent_return.episodes})"
        if self.evaluation is not None:
            yield f"evaluation {score(self.evaluation.mean)} ± {score(self.evaluation.std)}"
        for name, value in list(self.losses.items())[:_LOSSES_IN_LINE]:
            yield f"{name} {number(value)}"


def score(value: float) -> str:
    """A return: one decimal, more for what is smaller than one."""
    return f"{value:,.1f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"


def number(value: float) -> str:
    """A metric in ten characters at most: three digits that count, more of whole numbers."""
    in_full = float(value).is_integer() or abs(value) >= 999.5
    return f"{value:,.0f}" if in_full and abs(value) < 999_999.5 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """`0:07`, `12:03`, `3:04:05`, `2d 03:04:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
