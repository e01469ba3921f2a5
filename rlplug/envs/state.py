"""Reading and writing the state of one environment, so that a resumed run continues its episodes.

The state of an environment is its own (`StateAccess`), that of its random generator, and that of
each wrapper around it. A wrapper's is its attributes, where they are plain values, or what its
`get_state` gives. Where any part cannot be read there is no state at all: exact, or none.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from rlplug.errors import CheckpointError
from rlplug.seeding import generator_state, set_generator_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.protocols import State

    AnyEnv = gymnasium.Env[Any, Any]


class StateAccess(Protocol):
    """Reads and writes what an unwrapped environment keeps between steps.

    `EnvironmentSpec.state` names one: a class with two static methods, or any object with both.
    An environment that has `get_state()` and `set_state(state)` itself needs none. Neither has to
    care for `np_random` or for wrappers.
    """

    def get(self, env: Any) -> State:
        """Nested dicts and lists of arrays, strings, numbers, bools and None; copied."""
        ...

    def set(self, env: Any, state: State) -> None:
        """Bring an environment that was reset at least once into this state."""
        ...


class ClassicControlState:
    """State of Gymnasium's classic-control environments (a `StateAccess`)."""

    ATTRIBUTES = ("state", "steps_beyond_terminated", "last_u")

    @classmethod
    def get(cls, env: Any) -> State:
        """The physics, and what tells a second step beyond the end from the first."""
        return {name: pack(getattr(env, name)) for name in cls.ATTRIBUTES if hasattr(env, name)}

    @classmethod
    def set(cls, env: Any, state: State) -> None:
        """Bring the environment into this state."""
        for name, packed in state.items():
            setattr(env, name, unpack(packed))


class OwnState:
    """Uses the environment's own `get_state` and `set_state` (a `StateAccess`)."""

    @staticmethod
    def get(env: Any) -> State:
        """What the environment gives."""
        return dict(env.get_state())

    @staticmethod
    def set(env: Any, state: State) -> None:
        """Hand it back."""
        env.set_state(state)


def state_access(env: Any) -> StateAccess | None:
    """Access to an unwrapped environment for which no spec names one; None where there is none."""
    if keeps_own_state(env):
        return OwnState
    # A subclass may keep more than its parent does, so the class itself has to be Gymnasium's.
    if type(env).__module__.startswith("gymnasium.envs.classic_control."):
        return ClassicControlState
    return None


def keeps_own_state(env: Any) -> bool:
    """Whether `env.get_state()` and `env.set_state(state)` can be called like that.

    MuJoCo's environments have a `set_state` of another kind: `set_state(qpos, qvel)`.
    """
    return _callable_with(env, "get_state") and _callable_with(env, "set_state", None)


def _callable_with(env: Any, name: str, *arguments: object) -> bool:
    method = getattr(env, name, None)
    if not callable(method):
        return False
    try:
        inspect.signature(method).bind(*arguments)
    except (TypeError, ValueError):
        return False
    return True


def read_state(env: AnyEnv, access: StateAccess | None) -> State | None:
    """State of an environment with its wrappers, or None where a part of it cannot be read."""
    wrappers = [_wrapper_state(wrapper) for wrapper in _wrappers(env)]
    bare = env.unwrapped
    access = access or state_access(bare)
    if access is None or None in wrappers:
        return None
    return {
        "wrappers": wrappers,
        "environment": access.get(bare),
        "random": generator_state(bare.np_random),
    }


def write_state(env: AnyEnv, access: StateAccess | None, state: State) -> None:
    """Bring an environment that was reset into a state from `read_state`.

    Raises:
        CheckpointError: if it has other wrappers than the environment that was read.
    """
    wrappers = list(_wrappers(env))
    bare: Any = env.unwrapped
    access = access or state_access(bare)
    if access is None or len(wrappers) != len(state["wrappers"]):
        raise CheckpointError(
            f"The saved environment had {len(state['wrappers'])} wrappers, {env} has "
            f"{len(wrappers)}. Resume with the settings and versions that the run had."
        )
    for wrapper, saved in zip(wrappers, state["wrappers"], strict=True):
        if "own" in saved:
            OwnState.set(wrapper, saved["own"])
        for name, packed in saved.get("attributes", {}).items():
            setattr(wrapper, name, unpack(packed))
    access.set(bare, state["environment"])
    set_generator_state(bare.np_random, state["random"])


def _wrappers(env: AnyEnv) -> Iterator[AnyEnv]:
    """Outermost first."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env


# What wrappers keep that no step changes.
_CONSTANT_NAMES = {"env", "_saved_kwargs", "_cached_spec", "_metadata"}
_CONSTANT_TYPES = (
    str,
    type,
    gymnasium.Space,
    EnvSpec,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    functools.partial,
    np.ufunc,
    np.dtype,
)


def _wrapper_state(wrapper: AnyEnv) -> State | None:
    if keeps_own_state(wrapper):
        return {"own": OwnState.get(wrapper)}
    try:
        attributes = {
            name: pack(value)
            for name, value in vars(wrapper).items()
            if name not in _CONSTANT_NAMES and not isinstance(value, _CONSTANT_TYPES)
        }
    except TypeError:
        return None
    return {"attributes": attributes}


_BIT_GENERATORS = {
    kind.__name__: kind
    for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox)
}
_SEQUENCES: dict[str, Any] = {"list": list, "tuple": tuple, "deque": deque}


def pack(value: Any) -> Any:
    """A plain value as a state may hold it, copied, with what is needed to tell its type.

    Raises:
        TypeError: for anything but arrays, numbers, strings, generators, None, and lists, tuples,
            deques and dicts of these.
    """
    kind = type(value)
    packed: Any
    if value is None or kind in {bool, int, float, str}:
        packed = value
    elif kind is np.ndarray and value.dtype != object:
        packed = value.copy()
    elif isinstance(value, np.generic):
        packed = {"kind": "number", "value": np.array(value)}
    elif kind is np.random.Generator:
        packed = {"kind": "generator", "value": generator_state(value)}
    elif kind in _SEQUENCES.values():
        packed = {"kind": kind.__name__, "value": [pack(part) for part in value]}
        if kind is deque:
            packed["maxlen"] = value.maxlen
    elif kind is dict and all(isinstance(key, str) for key in value):
        packed = {"kind": "dict", "value": {key: pack(part) for key, part in value.items()}}
    else:
        raise TypeError(f"A {kind.__name__} is no plain value.")
    return packed


def unpack(packed: Any) -> Any:
    """The value that `pack` packed."""
    if isinstance(packed, np.ndarray):
        return packed.copy()
    if not isinstance(packed, dict):
        return packed
    kind, value = packed["kind"], packed["value"]
    if kind == "number":
        return value[()]
    if kind == "dict":
        return {key: unpack(part) for key, part in value.items()}
    if kind == "generator":
        bits = _BIT_GENERATORS[value["bit_generator"]]()
        bits.state = value
        return np.random.Generator(bits)
    arguments = {"maxlen": packed["maxlen"]} if kind == "deque" else {}
    return _SEQUENCES[kind]((unpack(part) for part in value), **arguments)
