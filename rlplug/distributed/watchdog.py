"""Ends a worker whose environment does not come back from a step.

The timer is faulthandler's, a thread of C: it fires even where an environment hangs inside a call
that holds the interpreter's lock, writes where every thread stands, and ends the process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rlplug.envs.adapter import StepAdapter

if TYPE_CHECKING:
    from types import TracebackType

    from rlplug.data import Tree
    from rlplug.envs.adapter import AdapterStep

_SLACK = 0.25
"""Share of the limit by which the timer may be late, so that it need not be set at every step."""


class Watchdog:
    """Ends this process when more than a limit passes between two `step`s inside `with`.

    Args:
        limit_seconds: It ends between this and a quarter more.
        trace_file: Where it writes the stacks; on a machine without that folder, nowhere.
    """

    def __init__(self, limit_seconds: float, trace_file: str) -> None:
        self._limit = limit_seconds
        self._set_at = 0.0
        self._file: Any = None
        with contextlib.suppress(OSError):  # another machine than the driver's
            self._file = Path(trace_file).open("w")  # noqa: SIM115 - as long as the process

    def __enter__(self) -> Self:
        self._set(time.monotonic())
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        faulthandler.cancel_dump_traceback_later()

    def close(self) -> None:
        """Close its file."""
        if self._file is not None:
            self._file.close()

    def step(self) -> None:
        """A step begins."""
        now = time.monotonic()
        if now - self._set_at > _SLACK * self._limit:
            self._set(now)

    def _set(self, now: float) -> None:
        self._set_at = now
        arguments = {} if self._file is None else {"file": self._file}
        faulthandler.dump_traceback_later(self._limit * (1 + _SLACK), exit=True, **arguments)


class WatchedAdapter(StepAdapter):
    """A step adapter that tells a watchdog of every step."""

    def __init__(self, vector_env: Any, watchdog: Watchdog, **arguments: Any) -> None:
        super().__init__(vector_env, **arguments)
        self._watchdog = watchdog

    def step(self, action: Tree) -> AdapterStep:
        """Play `[N, ...]` actions."""
        self._watchdog.step()
        return super().step(action)

    def reset(self, seed: int | None = None) -> Tree:
        """Start every environment."""
        self._watchdog.step()
        return super().reset(seed)
