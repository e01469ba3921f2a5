"""Whether a resolved run can work at all, found out before anything of it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rlplug.errors import ConfigError, IncompatibleError, PluginError
from rlplug.registry import discovery

if TYPE_CHECKING:
    from collections.abc import Iterator

    import gymnasium

    from rlplug.envs.config import EnvConfig
    from rlplug.resolve.resolution import Resolved
    from rlplug.specs import AlgorithmSpec


class Spaces(NamedTuple):
    """Of one environment."""

    observation: gymnasium.Space[Any]
    action: gymnasium.Space[Any]


def check(resolved: Resolved) -> Spaces:
    """Make one environment, read its spaces, close it, and compare with what is to run.

    Raises:
        IncompatibleError: naming what the algorithm needs, what it got, and what fits.
        ConfigError: if the device is not there, or the environment refuses its arguments.
        PluginError: if the environment's package is not installed.
        EnvironmentFaultError: if it raises.
    """
    from rlplug.envs.compatibility import check_compatible
    from rlplug.envs.make import make_env

    config = resolved.config
    _check_device(config.device)
    env = make_env(resolved.environment, cast("EnvConfig", config.env))
    try:
        spaces = Spaces(env.observation_space, env.action_space)
    finally:
        env.close()
    try:
        check_compatible(resolved.algorithm, config.environment, *spaces)
    except IncompatibleError:
        others = tuple(_algorithms())  # loaded only where they are of use
        check_compatible(resolved.algorithm, config.environment, *spaces, alternatives=others)
    return spaces


def _algorithms() -> Iterator[AlgorithmSpec]:
    """Every algorithm that loads."""
    for name in discovery.names("algorithms"):
        try:
            yield discovery.resolve_algorithm(name)
        except PluginError:
            continue  # a broken plugin is no alternative; `plugins list` names it


def _check_device(device: str) -> None:
    if not device.startswith("cuda"):
        return
    import torch

    if not torch.cuda.is_available():
        raise ConfigError(f"device: {device!r} is not there; torch finds no CUDA device. Use cpu.")
    index = int(device.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        msg = f"device: {device!r} is not there; torch finds {torch.cuda.device_count()}."
        raise ConfigError(msg)
