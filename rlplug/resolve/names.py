"""From the names that a user types to what is registered under them."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.errors import ConfigError, UnknownNameError
from rlplug.registry import discovery

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.specs import AlgorithmSpec, EnvironmentSpec

_GYMNASIUM_ID = re.compile(r"([\w.]+:)?([\w.-]+/)?[\w.-]+-v\d+")
_IMPORT_STRING = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


class Found(NamedTuple):
    """What an algorithm's and an environment's name lead to."""

    algorithm: AlgorithmSpec
    environment: EnvironmentSpec
    algorithm_name: str
    """The name that finds it again: without aliases, with its distribution where that was given."""
    environment_name: str
    make: Callable[..., Any] | None = None
    """Builds the environment, where Python gave a callable."""


def find(algorithm: str | None, environment: str | Callable[..., Any] | None) -> Found:
    """Look up both; what is wrong with either is said at once.

    Raises:
        ConfigError: if one is missing.
        UnknownNameError: with the nearest names.
        PluginError: if what is registered under a name does not load.
    """
    if not algorithm or not environment:
        msg = (
            "Name an algorithm and an environment, as in: rlplug train dqn cartpole "
            "(what there is: rlplug list)."
        )
        raise ConfigError(msg)
    problems: list[str] = []
    found_algorithm = found_environment = None
    try:
        found_algorithm = discovery.resolve_algorithm(algorithm)
    except UnknownNameError as error:
        problems.append(str(error))
    try:
        found_environment = _environment(environment)
    except UnknownNameError as error:
        problems.append(str(error))
    if found_algorithm is None or found_environment is None:
        raise UnknownNameError("\n".join(problems))
    return Found(
        found_algorithm,
        found_environment,
        _lasting(algorithm, found_algorithm.name),
        _lasting(environment, found_environment.name),
        environment if callable(environment) else None,
    )


def _lasting(asked: str | Callable[..., Any], name: str) -> str:
    """`distribution:name` stays what it is; an alias becomes the name."""
    return asked if isinstance(asked, str) and asked.endswith(f":{name}") else name


def _environment(name: str | Callable[..., Any]) -> EnvironmentSpec:
    """A registered environment, one of Gymnasium's, or what stands for a Python callable.

    Gymnasium is imported only where nothing of this name is registered.
    """
    if callable(name):
        return _callable_spec(name)
    registered = discovery.resolve_environment(name)
    if registered is not None:
        return registered
    if (written := _IMPORT_STRING.fullmatch(name)) and importlib.util.find_spec(written[1]):
        return _callable_spec(discovery.import_string(name))
    if _GYMNASIUM_ID.fullmatch(name):
        from rlplug.envs.make import gymnasium_spec

        return gymnasium_spec(name)
    import gymnasium

    known = [*discovery.names("environments"), *gymnasium.registry]
    raise UnknownNameError(discovery.unknown_name_message("environments", name, known))


def _callable_spec(make: Callable[..., Any]) -> EnvironmentSpec:
    """Stands for a callable; where it can be imported, a later process finds it again."""
    from rlplug.specs import EnvironmentSpec

    module, name = getattr(make, "__module__", ""), getattr(make, "__qualname__", repr(make))
    path = f"{module}:{name}"
    found = sys.modules.get(module)
    is_lasting = module != "__main__" and getattr(found, name, None) is make
    return EnvironmentSpec(name=path, summary=f"Made by {path}", make=path if is_lasting else None)
