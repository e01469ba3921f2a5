"""From the names that a user types to what is registered under them."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.envs.spec import callable_spec
from rlplug.errors import ConfigError, UnknownNameError
from rlplug.registry import discovery
from rlplug.specs import EnvironmentSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.specs import AlgorithmSpec

_GYMNASIUM_ID = re.compile(r"([\w.]+:)?([\w.-]+/)?[\w.-]+-v\d+")
_LOST_CALLABLE = re.compile(r"__main__:.+|[^:]+:.*<(lambda|locals)>.*")
"""What `callable_spec` names a callable that has no import string."""
_IMPORT_STRING = re.compile(r"([A-Za-z_]\w*)[\w.]*:[A-Za-z_][\w.]*")


class Found(NamedTuple):
    """What an algorithm's and an environment's name lead to."""

    algorithm: AlgorithmSpec
    environment: EnvironmentSpec
    algorithm_name: str
    """The name that finds it again: without aliases, with its distribution where that was given."""
    environment_name: str


def find(
    algorithm: str | AlgorithmSpec | None,
    environment: str | EnvironmentSpec | Callable[..., Any] | None,
) -> Found:
    """Look up both; what is wrong with either is said at once. A spec stands for itself.

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
        found_algorithm = (
            discovery.resolve_algorithm(algorithm) if isinstance(algorithm, str) else algorithm
        )
    except UnknownNameError as error:
        problems.append(str(error))
    try:
        found_environment = find_environment(environment)
    except UnknownNameError as error:
        problems.append(str(error))
    if found_algorithm is None or found_environment is None:
        raise UnknownNameError("\n".join(problems))
    return Found(
        found_algorithm,
        found_environment,
        _lasting(algorithm, found_algorithm.name),
        _lasting(environment, found_environment.name),
    )


def _lasting(asked: Any, name: str) -> str:
    """`distribution:name` stays what it is; an alias becomes the name."""
    return asked if isinstance(asked, str) and asked.endswith(f":{name}") else name


def find_environment(name: str | EnvironmentSpec | Callable[..., Any]) -> EnvironmentSpec:
    """A registered environment, one of Gymnasium's, or what stands for a Python callable.

    Gymnasium is imported only where nothing of this name is registered.

    Raises:
        UnknownNameError: with the nearest names.
        PluginError: if what is registered under a name does not load.
    """
    if not isinstance(name, str):
        return name if isinstance(name, EnvironmentSpec) else callable_spec(name)
    registered = discovery.resolve_environment(name)
    if registered is not None:
        return registered
    if _GYMNASIUM_ID.fullmatch(name):
        from rlplug.envs.make import gymnasium_spec

        return gymnasium_spec(name)
    if _LOST_CALLABLE.fullmatch(name):
        module, _, attribute = name.partition(":")
        make = getattr(sys.modules.get(module), attribute, None)
        if callable(make):  # this is still the process that has it
            return callable_spec(make)
        return EnvironmentSpec(name=name, summary=f"Made by {name}, in the process that trained")
    written = _IMPORT_STRING.fullmatch(name)
    if written and importlib.util.find_spec(written[1]):
        make = discovery.import_string(name)
        if callable(make):
            return callable_spec(make)
    import gymnasium

    known = [*discovery.names("environments"), *gymnasium.registry]
    raise UnknownNameError(discovery.unknown_name_message("environments", name, known))
