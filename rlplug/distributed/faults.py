"""What can go wrong with a worker, and how it is told."""

from __future__ import annotations

import traceback
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug import errors
from rlplug.errors import EnvironmentFaultError, RlplugError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable


class RemoteTracebackError(Exception):
    """The traceback of an error in a worker, as text: the cause of what is raised here."""


class WorkerLostError(Exception):
    """A worker's process ended, or its node left, before it answered."""


class Fault(NamedTuple):
    """An exception that a worker hands over in place of an answer.

    Raised through Ray it would arrive as another class, with its traceback in its message.
    """

    error: str
    """Name of its class."""
    message: str
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Fault:
        """What is told of an exception; the traceback of its cause where rlplug raised it."""
        told = error.__cause__ if isinstance(error, RlplugError) and error.__cause__ else error
        trace = "".join(traceback.format_exception(told))
        return cls(type(error).__name__, str(error) or type(error).__name__, trace)

    @property
    def is_of_environment(self) -> bool:
        """Whether a new environment may do better."""
        return self.error == EnvironmentFaultError.__name__

    def as_error(self, worker: str) -> RlplugError:
        """What to raise where a new worker would do no better."""
        kind = getattr(errors, self.error, None)
        if isinstance(kind, type) and issubclass(kind, RlplugError):
            error: RlplugError = kind(f"{worker}: {self.message}")
        else:
            error = WorkerError(f"{worker} raised {self.error}: {self.message}\n{self.trace}")
        error.__cause__ = RemoteTracebackError(self.trace)
        return error


def handing_over_faults(method: Callable[..., Any]) -> Callable[..., Any]:
    """Answer with a `Fault` where a method of a worker raises."""

    @wraps(method)
    def guarded(*arguments: Any) -> Any:
        try:
            return method(*arguments)
        except Exception as error:  # noqa: BLE001 - the driver decides what becomes of it
            return Fault.of(error)

    return guarded
