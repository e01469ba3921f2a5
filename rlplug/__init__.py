"""rlplug: a plugin-based reinforcement-learning framework.

    result = rlplug.train("dqn", "cartpole", steps=50_000)
    print(rlplug.evaluate(result.run_dir).mean_return)
    action = rlplug.load(result.run_dir).act(observation)

Importing rlplug imports nothing heavy; these names do, when they are first used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlplug import errors as errors
    from rlplug.api import evaluate, load, resume, train
    from rlplug.config import RunConfig

__version__ = "0.1.0"
__all__ = ["RunConfig", "__version__", "errors", "evaluate", "load", "resume", "train"]

_HOMES = {"RunConfig": "rlplug.config", "load": "rlplug.loaded", "resume": "rlplug.api"}
_MODULES = ("errors", "evaluate", "train")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"rlplug.{name}")
    msg = f"module 'rlplug' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Callable(ModuleType):
    """A module that is called like the function of its name in `rlplug.api`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self.__name__.removeprefix("rlplug.")
        return getattr(importlib.import_module("rlplug.api"), function)(*args, **kwargs)


class _Package(ModuleType):
    """Makes `rlplug.train` and `rlplug.evaluate` both what users call and where the code is.

    Python binds a submodule to its name here when it is imported, whoever imports it; a function
    of that name would be lost at that moment.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in {"train", "evaluate"} and isinstance(value, ModuleType):
            value.__class__ = _Callable
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
