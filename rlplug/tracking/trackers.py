"""Every tracker of a run behind one: what fails is named, and training goes on."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rlplug.data import EpisodeStats
    from rlplug.protocols import Tracker
    from rlplug.tracking.console import Console


class Evaluation(Protocol):
    """What trackers read of an evaluation's report."""

    @property
    def mean_return(self) -> float:
        """Mean over episodes."""

    @property
    def std_return(self) -> float:
        """Standard deviation over episodes."""

    @property
    def episodes(self) -> int:
        """How many were played."""

    @property
    def normalized_score(self) -> float | None:
        """The mean return, normalised; None where nothing is known to normalise it."""

    @property
    def sets(self) -> Mapping[str, Evaluation]:
        """Of each evaluation set by name, where there are several; the whole is of the first."""


class Trackers:
    """Hands everything to the console and to each tracker.

    A tracker that raises is named on the console and switched off. One that sets `keeps_unwritten`
    (as `metrics.jsonl` does) is named once and called again, because it catches up when it can;
    what it still holds at the end is in `problems`.
    """

    def __init__(self, console: Console, trackers: Mapping[str, Tracker]) -> None:
        """Take trackers by the name that messages call them."""
        self.console = console
        self.problems: list[str] = []
        """What was not tracked, in sentences for the end of the run."""
        self._trackers = dict(trackers)
        self._failing: set[str] = set()

    def add(self, name: str, tracker: Tracker) -> None:
        """Take one more."""
        self._trackers[name] = tracker

    def write(self, env_steps: int, metrics: Mapping[str, float]) -> None:
        """One report."""
        self.console.write(env_steps, metrics)
        self._each(lambda tracker: tracker.write(env_steps, metrics))

    def advance(self, env_steps: int) -> None:
        """How far the run is, between two reports."""
        self.console.advance(env_steps)

    def episode(self, episode: EpisodeStats) -> None:
        """One finished training episode."""
        self.console.episode(episode)
        self._each(lambda tracker: tracker.episode(episode), writes=False)

    def evaluation(self, env_steps: int, report: Evaluation) -> None:
        """An evaluation of the weights after `env_steps`, a row of its own."""
        self.console.evaluation(env_steps, report)
        metrics = _metrics("evaluation", report)
        for name, one in report.sets.items():
            metrics |= _metrics(f"evaluation/{name}", one)
        self._each(lambda tracker: tracker.write(env_steps, metrics))

    def message(self, text: str) -> None:
        """A line for the console and its log."""
        self.console.message(text)

    def catch_up(self) -> None:
        """Have rows written that were kept: a checkpoint follows, and they are of before it."""
        for name in sorted(self._failing):
            if write := getattr(self._trackers.get(name), "catch_up", None):
                with suppress(OSError):  # it was named when it began to fail
                    write()

    def close(self) -> None:
        """Close every tracker; the console, which may still have a summary to print, stays open."""
        closing, self._failing = dict(self._trackers), set()
        self._each(lambda tracker: tracker.close())
        for name in sorted(self._failing & {n for n, t in closing.items() if _keeps_unwritten(t)}):
            self.problems.append(f"{name} is not complete: the last rows could not be written.")
        self._trackers.clear()

    def _each(self, call: Callable[[Tracker], None], *, writes: bool = True) -> None:
        """Call each; only one that `writes` shows that a failing tracker works again."""
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything
                self._failed(name, tracker, error)
            else:
                if writes:
                    self._failing.discard(name)

    def _failed(self, name: str, tracker: Tracker, error: Exception) -> None:
        why = f"{type(error).__name__}: {error}"
        if _keeps_unwritten(tracker):
            if name not in self._failing:
                self.message(
                    f"{name} cannot be written ({why}). Training goes on; its rows are kept and "
                    "written when that works again."
                )
            self._failing.add(name)
            return
        del self._trackers[name]
        with suppress(Exception):  # it has failed already; its first error is the one to tell
            tracker.close()
        self.problems.append(f"Tracker '{name}' was switched off ({why}).")
        self.message(f"Tracker '{name}' failed and is switched off; training goes on. {why}")


def _metrics(prefix: str, report: Evaluation) -> dict[str, float]:
    metrics: dict[str, float] = {
        f"{prefix}/mean_return": report.mean_return,
        f"{prefix}/std_return": report.std_return,
        f"{prefix}/episodes": report.episodes,
    }
    if report.normalized_score is not None:
        metrics[f"{prefix}/normalized_score"] = report.normalized_score
    return metrics


def _keeps_unwritten(tracker: Tracker) -> bool:
    return bool(getattr(tracker, "keeps_unwritten", False))
