"""What a run prints: live progress on a terminal, else one line per report; all of it logged."""

from __future__ import annotations

import os
import shlex
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, Self, TextIO

from rlplug.tracking.progress import Progress, duration, score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from rlplug.config import TrackingConfig
    from rlplug.data import EpisodeStats
    from rlplug.tracking.live import LiveDisplay
    from rlplug.tracking.trackers import Evaluation

Mode = Literal["rich", "plain", "off"]


class Console:
    """A run's voice.

    with Console(config.tracking, run.console_log, total_env_steps, "dqn on cartpole") as console:
        console.message("8 environments in this process")
        console.write(1_000, {"loss": 0.03})
        console.summary(summary(...))

    `console.log` gets the plain lines, whatever the terminal shows. Nothing here raises because of
    a terminal that went away or a full disk.
    """

    def __init__(
        self,
        config: TrackingConfig,
        log_path: Path | None,
        total_env_steps: int,
        title: str,
        *,
        start_env_steps: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Speak on `stream`, which is standard output unless given.

        Args:
            config: Chooses how (`console`).
            log_path: Of `console.log`, appended to; None keeps no log.
            total_env_steps: Length of the run.
            title: What runs, in a few words.
            start_env_steps: Environment steps that a resumed run has behind it.
            stream: Where to print.
            clock: Seconds that never go back.
        """
        self.progress = Progress(total_env_steps, start_env_steps=start_env_steps, clock=clock)
        self._stream = sys.stdout if stream is None else stream
        self.mode: Mode = _mode(config.console, self._stream)
        self._log = None
        self._live: LiveDisplay | None = None
        if log_path is not None:
            try:
                self._log = log_path.open("ab", buffering=0)
            except OSError as error:
                self._lost_log(error)
        if self.mode == "rich":
            self._live = _live_display(self.progress, title, self._stream, clock)
            self._write_log(title)
        else:
            self.message(title)

    def write(self, env_steps: int, metrics: Mapping[str, float]) -> None:
        """Show one report."""
        self.progress.report(env_steps, metrics)
        line = self.progress.line()
        self._write_log(line)
        if self._live is None:
            self._print(line)
        self._refresh()

    def advance(self, env_steps: int) -> None:
        """Show how far the run is between two reports; cheap enough for every iteration."""
        self.progress.advance(env_steps)
        self._refresh()

    def episode(self, episode: EpisodeStats) -> None:
        """Count a finished training episode."""
        self.progress.episode(episode)
        self._refresh()

    def evaluation(self, env_steps: int, report: Evaluation) -> None:
        """Show an evaluation of the weights after `env_steps`."""
        self.progress.evaluated(env_steps, report)
        for label, text in _told(report):
            self.message(f"evaluation at {env_steps:,}{label}: {text}")

    def message(self, text: str) -> None:
        """Print lines of their own: warnings, choices, what was saved."""
        for line in printable(text).splitlines():
            self._write_log(line)
            self._print(line)

    def note(self, text: str) -> None:
        """Write lines to the log alone: they are printed elsewhere."""
        for line in printable(text).splitlines():
            self._write_log(line)

    def summary(self, text: str) -> None:
        """Print what the run came to; live progress ends here."""
        self._stop_live()
        self.message(text)

    def close(self) -> None:
        """Give the terminal back and close the log; safe to call twice."""
        self._stop_live()
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _refresh(self) -> None:
        if self._live is not None:
            with self._guard():
                self._live.refresh()

    def _stop_live(self) -> None:
        with self._guard():
            if self._live is not None:
                live, self._live, self.mode = self._live, None, "plain"
                live.stop()

    def _print(self, line: str) -> None:
        with self._guard():
            if self._live is not None:
                self._live.print(line)
            elif self.mode != "off":
                encoding = self._stream.encoding or "utf-8"
                self._stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
                self._stream.flush()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Fall silent where the terminal is gone; rich says so with SystemExit."""
        try:
            yield
        except (OSError, ValueError, SystemExit):
            live, self._live, self.mode = self._live, None, "off"
            if live is not None:
                with suppress(OSError, ValueError, SystemExit):
                    live.stop()

    def _write_log(self, line: str) -> None:
        if self._log is not None:
            try:
                rest = line.encode() + b"\n"
                while rest:  # a disk that is nearly full takes a part
                    rest = rest[self._log.write(rest) :]
            except OSError as error:
                self._log.close()
                self._log = None
                self._lost_log(error)

    def _lost_log(self, error: OSError) -> None:
        self.message(f"console.log is no longer written: {error.strerror or error}.")


def summary(
    run_folder: Path,
    *,
    env_steps: int,
    seconds: float,
    evaluation: Evaluation | None,
    stopped_by: str | None = None,
    problems: Sequence[str] = (),
    options: str = "",
) -> str:
    """What a finished run came to, and what to try next.

    Args:
        run_folder: Shown relative to the working directory where it lies below it.
        env_steps: Environment steps of the run.
        seconds: Of training, evaluations not counted.
        evaluation: The final one.
        stopped_by: Why it ended before its last step, if it did.
        problems: Sentences on what was not tracked.
        options: What every command on this run needs, with its space before it.
    """
    path = _as_typed(run_folder)
    speed = f" ({env_steps / seconds:,.0f} steps/s)" if seconds > 0 else ""
    lines = [f"finished     {env_steps:,} environment steps in {duration(seconds)}{speed}"]
    if stopped_by:
        lines.append(f"stopped by   {stopped_by}")
    if evaluation is not None:
        lines += [f"evaluation   {text}{label}" for label, text in _told(evaluation)]
    lines.append(f"run folder   {path}")
    lines += [f"problem      {problem}" for problem in problems]
    more = f"{2 * env_steps}"
    lines += [
        f"next         rlplug eval {path}{options}",
        f"             rlplug eval {path} --video out.mp4{options}",
        f"             rlplug train --resume {path} --steps {more}{options}",
    ]
    return "\n".join(["", *lines])


def _told(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """For each set: ` on NAME`, empty where there is but one, and what came of it."""
    for name, one in evaluation.sets.items() or [("", evaluation)]:
        text = f"{score(one.mean_return)} ± {score(one.std_return)} over {one.episodes} episodes"
        if one.normalized_score is not None:
            text += f" (normalised {one.normalized_score:.3g})"
        yield f" on {name}" if name else "", text


def printable(text: str) -> str:
    """`text` with control characters spelled out, so that none can act on a terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1]
        for character in text.expandtabs()
    )


def _as_typed(path: Path) -> str:
    relative = os.path.relpath(path)
    return shlex.quote(str(path) if relative.startswith("..") else relative)


def _mode(wanted: str, stream: TextIO) -> Mode:
    if wanted == "auto":
        smart = stream.isatty() and os.environ.get("TERM") != "dumb"
        unicode = (stream.encoding or "").lower().startswith("utf")
        return "rich" if smart and unicode else "plain"
    return "rich" if wanted == "rich" else "plain" if wanted == "plain" else "off"


def _live_display(
    progress: Progress, title: str, stream: TextIO, clock: Callable[[], float]
) -> LiveDisplay:
    import rich.console

    from rlplug.tracking.live import LiveDisplay

    terminal = rich.console.Console(file=stream, highlight=False, force_terminal=True)
    return LiveDisplay(progress, printable(title), terminal, clock=clock)
