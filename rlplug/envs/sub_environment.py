"""One environment inside a vector environment: checked, named in errors, and restorable."""

from __future__ import annotations

import os
import signal
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import optree

from rlplug.envs.guard import Problem, SampleCheck, fault_message
from rlplug.envs.state import read_state, write_state
from rlplug.errors import EnvironmentFaultError, RlplugError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rlplug.data import Tree
    from rlplug.envs.state import StateAccess
    from rlplug.protocols import State

    Info = dict[str, Any]

_FAULT = "environment_fault"


@dataclass(frozen=True)
class SubEnvironmentMaker:
    """Builds one environment of a vector environment, in whatever process calls it."""

    make: Callable[[], gymnasium.Env[Any, Any]]
    name: str
    """Of the environment, for messages."""
    index: int
    """In the vector environment."""
    access: StateAccess | None = None
    """None uses what the environment itself offers."""
    check: bool = True
    """Refuse observations and rewards of a wrong shape, dtype or type."""
    _made_in: int = field(default_factory=os.getpid)

    def __call__(self) -> SubEnvironment | FaultCarrier:
        """Build it; a process of its own leaves Ctrl-C to the process that trains."""
        env = SubEnvironment(self)
        if os.getpid() == self._made_in:
            return env
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return FaultCarrier(env)


class SubEnvironment(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Wraps each environment of a vector environment, outermost.

    - Whatever it raises, and a wrong shape, dtype or type of what it returns, becomes an
      `EnvironmentFaultError` that names it, its step and its seed.
    - An episode's last observation is an array of its own, even where the environment reuses one.
    - `snapshot` and `restore` are called through `VectorEnv.call`, in whatever process it is.
    """

    def __init__(self, maker: SubEnvironmentMaker) -> None:
        super().__init__(maker.make())
        self._maker = maker
        self._check = SampleCheck(self.env.observation_space) if maker.check else None
        self._steps = 0
        self._seed: int | None = None
        self._resets_next = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tree, Info]:
        """Start an episode."""
        self._resets_next = False
        if seed is not None:
            self._seed = seed
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except RlplugError:
            raise
        except Exception as error:
            raise self._fault(f"raised {describe_error(error)} in reset") from error
        if self._check is not None:
            self._refuse(self._check.observation(observation))
        return observation, info

    def step(self, action: Any) -> tuple[Tree, Any, bool, bool, Info]:
        """Play one step."""
        if self._resets_next:
            observation, info = self.reset()
            return observation, 0.0, False, False, info
        self._steps += 1
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
        except RlplugError:
            raise
        except Exception as error:
            raise self._fault(f"raised {describe_error(error)}") from error
        check = self._check
        if check is not None:
            problem = check.step(observation, reward, terminated, truncated)
            if problem is not None:
                raise self._fault(problem)
        if terminated or truncated:
            is_array = type(observation) is np.ndarray
            observation = observation.copy() if is_array else optree.tree_map(_copied, observation)
        return observation, reward, terminated, truncated, info

    def snapshot(self) -> State | None:
        """Everything that the next steps depend on; None where it cannot be read."""
        try:
            environment = read_state(self.env, self._maker.access)
        except Exception as error:
            raise self._fault(f"raised {describe_error(error)} in get_state") from error
        if environment is None:
            return None
        return {"environment": environment, "steps": self._steps, "seed": self._seed}

    def restore(self, snapshots: Sequence[State], resets_next: Sequence[bool]) -> None:
        """Continue from `snapshot()`, after a reset.

        Args:
            snapshots: `[N]` of all environments.
            resets_next: `[N]` whether the next step only resets, as under NEXT_STEP.
        """
        snapshot = snapshots[self._maker.index]
        try:
            write_state(self.env, self._maker.access, snapshot["environment"])
        except RlplugError:
            raise
        except Exception as error:
            raise self._fault(f"raised {describe_error(error)} in set_state") from error
        self._steps, self._seed = snapshot["steps"], snapshot["seed"]
        self._resets_next = resets_next[self._maker.index]

    def _refuse(self, problem: str | None) -> None:
        if problem is not None:
            raise self._fault(problem)

    def _fault(self, text: str) -> EnvironmentFaultError:
        problem = Problem(text, self._maker.index)
        message = fault_message(self._maker.name, problem, step=self._steps, seed=self._seed)
        return EnvironmentFaultError(message)


class FaultCarrier(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Hands the error of a `SubEnvironment` over to the process that trains.

    It travels in the infos, for `raise_carried_fault`: an exception would lose its cause on the
    way, print a traceback, and end the process that it was raised in.
    """

    env: SubEnvironment

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tree, Info]:
        """Start an episode."""
        try:
            return self.env.reset(seed=seed, options=options)
        except RlplugError as error:
            return self.observation_space.sample(), _carry(error)

    def step(self, action: Any) -> tuple[Tree, Any, bool, bool, Info]:
        """Play one step."""
        try:
            return self.env.step(action)
        except RlplugError as error:
            return self.observation_space.sample(), 0.0, False, False, _carry(error)

    def snapshot(self) -> State | None:
        """State, or the error in its place."""
        try:
            return self.env.snapshot()
        except RlplugError as error:
            return _carry(error)

    def restore(self, snapshots: Sequence[State], resets_next: Sequence[bool]) -> Info | None:
        """Nothing, or the error in its place."""
        try:
            self.env.restore(snapshots, resets_next)
        except RlplugError as error:
            return _carry(error)
        return None


def _carry(error: RlplugError) -> Info:
    cause = error.__cause__
    trace = "".join(traceback.format_exception(cause)) if cause else ""
    return {_FAULT: (str(error), trace)}


class RemoteTracebackError(Exception):
    """The traceback of an error in another process, as text."""


def raise_carried_fault(info: Info | None) -> None:
    """Raise the error that a `FaultCarrier` handed over, if there is one.

    Raises:
        EnvironmentFaultError: the first of them.
    """
    if not info or _FAULT not in info:
        return
    faults = info[_FAULT]
    message, trace = faults if isinstance(faults, tuple) else next(filter(None, faults))
    raise EnvironmentFaultError(message) from (RemoteTracebackError(trace) if trace else None)


def describe_error(error: Exception) -> str:
    """Type and message, in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _copied(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf
