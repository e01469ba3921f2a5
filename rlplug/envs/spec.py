"""The built-in environments, and specs of Python callables. Imports no gymnasium."""

from __future__ import annotations

import sys
from collections.abc import Callable  # noqa: TC003 - pydantic reads the annotation
from typing import Any

from pydantic import Field

from rlplug.specs import EnvironmentSpec

CARTPOLE = EnvironmentSpec(
    name="cartpole",
    summary="Balance a pole on a cart by pushing it left or right; 500 steps solve it",
    gymnasium_id="CartPole-v1",
    aliases=("CartPole-v1", "cart-pole"),
)

CONTINUOUS_CARTPOLE = EnvironmentSpec(
    name="continuous-cartpole",
    summary="CartPole with a force of any size between full left and full right",
    make="rlplug.envs.continuous_cartpole:make_continuous_cartpole",
    aliases=("continuouscartpole", "cartpole-continuous"),
)

CARTPOLE_POSITIONS = EnvironmentSpec(
    name="cartpole-positions",
    summary="CartPole without velocities: a task for memory",
    make="rlplug.envs.cartpole_positions:make_cartpole_positions",
)

PENDULUM = EnvironmentSpec(
    name="pendulum",
    summary="Swing a pendulum up and hold it there with little torque",
    gymnasium_id="Pendulum-v1",
    aliases=("Pendulum-v1",),
)

MOUNTAIN_CAR = EnvironmentSpec(
    name="mountain-car",
    summary="Rock a weak car out of a valley: push left, not at all, or right",
    gymnasium_id="MountainCar-v0",
    aliases=("MountainCar-v0", "mountaincar"),
)

MOUNTAIN_CAR_CONTINUOUS = EnvironmentSpec(
    name="mountain-car-continuous",
    summary="Rock a weak car out of a valley with a force of any size",
    gymnasium_id="MountainCarContinuous-v0",
    aliases=("MountainCarContinuous-v0", "mountaincarcontinuous"),
)

ACROBOT = EnvironmentSpec(
    name="acrobot",
    summary="Swing the tip of a two-link arm above a line with torque at the elbow",
    gymnasium_id="Acrobot-v1",
    aliases=("Acrobot-v1",),
)


class CallableSpec(EnvironmentSpec):
    """An environment that a Python callable makes, for callables that cannot be imported by name.

    It travels to another process where its callable can be pickled, and is not written to a run's
    config: a later process needs the callable again.
    """

    factory: Callable[..., Any] = Field(exclude=True, repr=False)
    """Builds one `gymnasium.Env` from keyword arguments."""


def callable_spec(factory: Callable[..., Any]) -> EnvironmentSpec:
    """The spec of what a callable makes; named by import string where it has one.

    Args:
        factory: Builds one `gymnasium.Env` from keyword arguments: a function, or the class.
    """
    module = getattr(factory, "__module__", "")
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    path = f"{module}:{name}"
    # A script is __main__ only in its own process.
    if module != "__main__" and getattr(sys.modules.get(module), name, None) is factory:
        return EnvironmentSpec(name=path, summary=f"Made by {path}", make=path)
    return CallableSpec(name=path, summary=f"Made by {path}", factory=factory)
