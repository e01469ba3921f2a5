"""Whether an algorithm can act in, and learn from, an environment's spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from gymnasium import spaces

from rlplug.errors import IncompatibleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rlplug.specs import AlgorithmSpec, SpaceKind

AnySpace: TypeAlias = "spaces.Space[Any]"

_KINDS: tuple[tuple[type[AnySpace], SpaceKind], ...] = (
    (spaces.Discrete, "discrete"),
    (spaces.MultiDiscrete, "multi-discrete"),
    (spaces.MultiBinary, "multi-binary"),
    (spaces.Box, "box"),
    (spaces.Dict, "dict"),
    (spaces.Tuple, "tuple"),
)


def space_kind(space: AnySpace) -> SpaceKind:
    """The kind that algorithm specs name this space by.

    Raises:
        IncompatibleError: for a space whose samples are no arrays (Text, Graph, Sequence, ...).
    """
    if isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3:
        return "image"
    for space_type, kind in _KINDS:
        if isinstance(space, space_type):
            return kind
    raise IncompatibleError(
        f"Space {space} cannot be batched into arrays; rlplug handles "
        f"{', '.join(kind for _, kind in _KINDS)} spaces. Wrap the environment to give one."
    )


def describe_space(space: AnySpace) -> str:
    """A space as error messages name it: `Discrete(2)`, `Box(1,)`, `Dict(position, image)`."""
    if isinstance(space, spaces.Dict):
        return f"Dict({', '.join(space.spaces)})"
    if isinstance(space, spaces.Tuple):
        return f"Tuple({', '.join(describe_space(part) for part in space.spaces)})"
    if isinstance(space, spaces.Discrete):
        return f"Discrete({space.n})"
    if space_kind(space) == "image":
        return f"Box{space.shape} uint8"
    return f"{type(space).__name__}{space.shape}"


def check_compatible(
    algorithm: AlgorithmSpec,
    environment: str,
    observation_space: AnySpace,
    action_space: AnySpace,
    alternatives: Sequence[AlgorithmSpec] = (),
) -> None:
    """Refuse an algorithm that cannot work in an environment, and name those that can.

    Args:
        algorithm: what the user chose.
        environment: name, for the message.
        observation_space: of one environment.
        action_space: of one environment.
        alternatives: specs to choose the suggestions from, in order of preference.

    Raises:
        IncompatibleError: naming what the algorithm needs, what it got, and what fits.
    """
    spaces_of_part = (
        ("actions", action_space, algorithm.action_spaces),
        ("observations", observation_space, algorithm.observation_spaces),
    )
    for part, space, supported in spaces_of_part:
        if _fits(space, supported):
            continue
        fitting = [
            spec.name
            for spec in alternatives
            if spec.name != algorithm.name
            and _fits(action_space, spec.action_spaces)
            and _fits(observation_space, spec.observation_spaces)
        ]
        advice = (
            f"Try: {', '.join(fitting)}"
            if fitting
            else "No installed algorithm fits; plugins bring more (run: rlplug list algorithms)"
        )
        raise IncompatibleError(
            f"{algorithm.name} needs {_either(supported)} {part}; "
            f"{environment} has {describe_space(space)}. {advice}"
        )


def _fits(space: AnySpace, supported: Sequence[SpaceKind]) -> bool:
    return all(kind in supported for kind in _kinds_within(space))


def _kinds_within(space: AnySpace) -> Iterator[SpaceKind]:
    """The kind of a space and, for dicts and tuples, of everything in it."""
    yield space_kind(space)
    if isinstance(space, spaces.Dict):
        for part in space.spaces.values():
            yield from _kinds_within(part)
    elif isinstance(space, spaces.Tuple):
        for part in space.spaces:
            yield from _kinds_within(part)


def _either(kinds: Sequence[str]) -> str:
    return kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} or {kinds[-1]}"
