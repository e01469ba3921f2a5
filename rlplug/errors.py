"""Every error that rlplug raises on purpose.

RlplugError                    exit 1   the root: catch this to catch them all
├── ConfigError                exit 2   a name, key or value that the user gave
│   ├── UnknownNameError       exit 2   no algorithm, environment or plugin of that name
│   ├── IncompatibleError      exit 2   an algorithm and an environment that cannot work together
│   └── RunFolderError         exit 2   a run folder that is missing, in use or cannot be written
├── PluginError                exit 3   an installed plugin that was asked for and does not work
├── EnvironmentFaultError      exit 4   an environment that raised or broke its own spaces
├── DivergedError              exit 5   a loss or weight that is no longer finite
├── CheckpointError            exit 1   a checkpoint that is damaged or from another version
├── WorkerError                exit 1   workers that cannot be started, or end again and again
└── InterruptedRunError        exit 130 Ctrl-C (143: SIGTERM); the run was saved first

Messages say what was wrong, with the value, what was expected, and what to do.
Plain misuse of a function raises ValueError or TypeError (`ShapeError` is a ValueError).
"""

from __future__ import annotations


class RlplugError(Exception):
    """The root of rlplug's errors; `exit_code` is what the command line exits with."""

    exit_code = 1
    is_resumable = False
    """Whether the training up to here is sound, and worth a checkpoint."""


class ConfigError(RlplugError):
    """A setting, key, value or name that the user gave and that cannot be used."""

    exit_code = 2


class UnknownNameError(ConfigError):
    """No algorithm, environment, tracker or plugin is registered under this name."""


class IncompatibleError(ConfigError):
    """The algorithm cannot act in, or learn from, this environment's spaces."""


class RunFolderError(ConfigError):
    """A run folder that does not exist, is in use, or cannot be written."""


class PluginError(RlplugError):
    """An installed plugin that was asked for by name failed to load or broke a contract."""

    exit_code = 3


class EnvironmentFaultError(RlplugError):
    """An environment raised, or returned something outside its own declared spaces."""

    exit_code = 4


class DivergedError(RlplugError):
    """A loss or a weight is not finite."""

    exit_code = 5


class CheckpointError(RlplugError):
    """A checkpoint is damaged, incomplete, or was written by an incompatible version."""


class WorkerError(RlplugError):
    """Processes that step environments could not be started, or ended more often than allowed."""

    is_resumable = True


class InterruptedRunError(RlplugError):
    """A signal stopped the run after it was saved."""

    def __init__(self, message: str, *, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ShapeError(ValueError):
    """Arrays whose shapes do not fit together, named in the caller's words."""
