"""Ctrl-C and SIGTERM ask the loop to save and stop; a second Ctrl-C stops at once."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType


class StopSignals:
    """Notes a signal while the loop runs, and puts the earlier handlers back afterwards.

    Only the main thread of a process may handle signals; elsewhere nothing is installed.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._earlier: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after SIGTERM: 128 and the signal's number, as shells report it."""
        return 128 + (self.received or signal.SIGINT)

    @property
    def name(self) -> str:
        """What stops the run, as a user calls it."""
        return "SIGTERM" if self.received == signal.SIGTERM else "Ctrl-C"

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
