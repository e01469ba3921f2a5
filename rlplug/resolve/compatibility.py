"""Whether a resolved run can work at all, found out before anything of it is built."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rlplug.errors import ConfigError, IncompatibleError, PluginError
from rlplug.registry import discovery

if TYPE_CHECKING:
    from collections.abc import Iterator

    import gymnasium

    from rlplug.config import TrackingConfig
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
        ConfigError: if the device or a tracker is not there, or the environment refuses its
            arguments.
        PluginError: if the environment's package is not installed.
        EnvironmentFaultError: if it raises.
    """
    from rlplug.envs.compatibility import check_compatible

    config = resolved.config
    _check_device(config.device)
    _check_trackers(config.tracking)
    _check_mode(resolved)
    spaces = _spaces(resolved)
    spec = resolved.environment
    differs = cast("EnvConfig", config.env).evaluation_kwargs or spec.evaluation_kwargs
    for name in spec.set_names if differs or spec.evaluation_sets else ():
        _check_same(spaces, _spaces(resolved, evaluation=name), config.environment)
    try:
        check_compatible(resolved.algorithm, config.environment, *spaces)
    except IncompatibleError:
        others = tuple(_algorithms())  # loaded only where they are of use
        check_compatible(resolved.algorithm, config.environment, *spaces, alternatives=others)
    return spaces


def _spaces(resolved: Resolved, *, evaluation: bool | str = False) -> Spaces:
    """Those of an environment that is made for this and closed."""
    from rlplug.envs.make import make_env

    env_config = cast("EnvConfig", resolved.config.env)
    env = make_env(resolved.environment, env_config, evaluation=evaluation)
    try:
        return Spaces(env.observation_space, env.action_space)
    finally:
        env.close()


def _check_same(training: Spaces, evaluation: Spaces, environment: str) -> None:
    if training != evaluation:
        here, there = (" and ".join(map(str, one)) for one in (training, evaluation))
        msg = (
            f"env.evaluation_kwargs: {environment} has {there} in evaluation, but {here} in "
            "training; they must be the same."
        )
        raise IncompatibleError(msg)


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


def _check_mode(resolved: Resolved) -> None:
    """Refuse to learn on-policy from rollouts of older weights, unless the algorithm can."""
    learns_from_rollouts = resolved.trainer.replay_config is None
    can = "async" in resolved.algorithm.features
    if resolved.config.launch.mode == "async" and learns_from_rollouts and not can:
        msg = (
            f"{resolved.config.algorithm} learns only from what its newest weights did, which "
            "async workers do not wait for. Use --mode sync, or appo, which corrects for it."
        )
        raise IncompatibleError(msg)


def _check_trackers(config: TrackingConfig) -> None:
    for name in config.trackers:
        discovery.resolve_tracker(name)
    if config.tensorboard is True and importlib.util.find_spec("tensorboard") is None:
        msg = (
            "tracking.tensorboard: the tensorboard package is not installed. Install it (pip "
            "install 'rlplug[tensorboard]'), or leave this at auto."
        )
        raise ConfigError(msg)
