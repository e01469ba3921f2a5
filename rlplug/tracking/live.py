"""Live progress on a terminal, drawn with rich."""

from __future__ import annotations

import time
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rlplug.tracking.progress import duration, number, score

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.tracking.progress import Progress

SECONDS_BETWEEN_FRAMES = 0.25
_NARROW, _WIDE = 70, 110
"""Characters: below, no metrics but the losses; from there on, two columns of metrics."""
_METRIC_ROWS = 8
_NAME_WIDTH, _VALUE_WIDTH = 20, 12  # a value has at most ten characters, and two of padding


class LiveDisplay:
    """A few lines at the bottom of the terminal; messages scroll above them.

    Drawn when something happens, at most four times a second, and never from another thread: a
    thread that holds a lock while environments are forked would leave it held in the child.
    """

    def __init__(
        self,
        progress: Progress,
        title: str,
        terminal: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress = progress
        self._title = title
        self._terminal = terminal
        self._clock = clock
        self._live: Live | None = None
        self._drawn = -SECONDS_BETWEEN_FRAMES

    def refresh(self) -> None:
        """Draw the newest numbers, unless they were drawn a moment ago."""
        now = self._clock()
        if now - self._drawn < SECONDS_BETWEEN_FRAMES:
            return
        self._drawn = now
        if self._live is None:
            self._live = Live(console=self._terminal, auto_refresh=False)
            self._live.start()
        self._live.update(self.render(), refresh=True)

    def print(self, text: str) -> None:
        """Print above the display."""
        self._terminal.print(Text(text), soft_wrap=True)

    def stop(self) -> None:
        """Leave the last frame on the screen and give the terminal back; safe to call twice."""
        if self._live is not None:
            self._live.update(self.render())
            self._live.stop()
            self._live = None

    def render(self) -> Group:
        """Title, bar, times and a small table."""
        progress = self._progress
        bar = Table.grid(padding=(0, 2), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        bar.add_column(no_wrap=True)
        bar.add_row(
            ProgressBar(total=progress.total_env_steps, completed=progress.env_steps),
            progress.percent().strip(),
            progress.steps(),
        )
        return Group(Text(self._title, style="bold"), bar, self._times(), self._table())

    def _times(self) -> Text:
        progress = self._progress
        parts = [f"elapsed {duration(progress.elapsed)}"]
        if (speed := progress.steps_per_second) is not None:
            parts.insert(0, f"{speed:,.0f} steps/s")
        if (left := progress.seconds_left) is not None:
            parts.append(f"left {duration(left)}")
        return Text("  ".join(parts), style="dim")

    def _table(self) -> Table:
        facts, losses = self._facts(), _cells(self._progress.losses)
        metrics = losses + _cells(self._progress.other_metrics)
        if self._terminal.width < _NARROW:
            columns = [facts + losses]
        else:
            columns = [facts, metrics[:_METRIC_ROWS]]
        if self._terminal.width >= _WIDE:
            columns.append(metrics[_METRIC_ROWS : 2 * _METRIC_ROWS])
        table = Table.grid(padding=(0, 2))
        for _ in columns:
            table.add_column(style="cyan", no_wrap=True)
            table.add_column(no_wrap=True, min_width=_VALUE_WIDTH)
        for row in zip_longest(*columns, fillvalue=("", "")):
            table.add_row(*(text for pair in row for text in pair))
        return table

    def _facts(self) -> list[tuple[str, str]]:
        progress, metrics = self._progress, self._progress.metrics
        facts = []
        if (recent := progress.recent_return) is not None:
            facts.append(("return", f"{score(recent.mean)} (last {recent.episodes})"))
        if (last := progress.evaluation) is not None:
            value = f"{score(last.mean)} ± {score(last.std)} at {last.env_steps:,}"
            facts.append(("evaluation", value))
        if "episode_length" in metrics:
            facts.append(("episode length", score(metrics["episode_length"])))
        if "updates" in metrics:
            facts.append(("updates", f"{metrics['updates']:,.0f}"))
        return facts


def _cells(metrics: dict[str, float]) -> list[tuple[str, str]]:
    """Names from their end, which tells more than their beginning."""
    return [
        (name if len(name) <= _NAME_WIDTH else f"…{name[1 - _NAME_WIDTH :]}", number(value))
        for name, value in metrics.items()
    ]
