"""Where the kit runs an algorithm: an environment and its keyword arguments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.testing.check import NotApplicableError
from rlplug.testing.probes import PROBES
from rlplug.testing.worlds import PROBE, SCRIPT, WORLD

if TYPE_CHECKING:
    from rlplug.specs import AlgorithmSpec, EnvironmentSpec, SpaceKind

_SIMPLE_OBSERVATIONS = ("box", "discrete", "multi-discrete", "multi-binary")
_SIMPLE_ACTIONS = ("discrete", "box", "multi-discrete", "multi-binary")


class Scene(NamedTuple):
    """An environment for a run."""

    environment: EnvironmentSpec
    kwargs: tuple[tuple[str, Any], ...]
    label: str

    @property
    def settings(self) -> dict[str, Any]:
        """As overrides of a run."""
        return {"env.kwargs": dict(self.kwargs)}

    @property
    def key(self) -> str:
        """Tells scenes apart."""
        return f"{self.environment.name} {json.dumps(self.kwargs)}"


def world(
    algorithm: AlgorithmSpec, observation: str = "", action: str = "", nan_after: int | None = None
) -> Scene:
    """Short episodes in spaces that the algorithm declares; the simplest where none are named."""
    observation = observation or _first(algorithm.observation_spaces, _SIMPLE_OBSERVATIONS)
    action = action or _first(algorithm.action_spaces, _SIMPLE_ACTIONS)
    kwargs: dict[str, Any] = {"observation": observation, "action": action}
    if observation in {"dict", "tuple"}:
        kwargs["observation_parts"] = _parts(algorithm.observation_spaces, _SIMPLE_OBSERVATIONS)
    if action in {"dict", "tuple"}:
        kwargs["action_parts"] = _parts(algorithm.action_spaces, _SIMPLE_ACTIONS)
    if nan_after is not None:
        kwargs["nan_after"] = nan_after
    label = f"{observation} observations and {action} actions"
    return Scene(WORLD, tuple(kwargs.items()), label)


def probe(algorithm: AlgorithmSpec, name: str) -> Scene:
    """A probe environment, with the kind of actions that the algorithm takes."""
    if "box" not in algorithm.observation_spaces:
        msg = f"{algorithm.name} takes no box observations, and every probe shows a box."
        raise NotApplicableError(msg)
    if "discrete" not in algorithm.action_spaces:
        name = f"{name}-box" if f"{name}-box" in PROBES else name
    is_box = PROBES[name].is_box
    if ("box" if is_box else "discrete") not in algorithm.action_spaces:
        raise NotApplicableError(f"{algorithm.name} does not take the actions of the probe {name}.")
    return Scene(PROBE, (("probe", name),), f"the probe {name}")


def script(algorithm: AlgorithmSpec, mode: str) -> Scene:
    """Scripted episodes under an autoreset mode."""
    if "box" not in algorithm.observation_spaces:
        msg = f"{algorithm.name} takes no box observations, and the script shows a box."
        raise NotApplicableError(msg)
    action = _first(algorithm.action_spaces, _SIMPLE_ACTIONS)
    return Scene(SCRIPT, (("mode", mode), ("action", action)), f"autoreset mode {mode}")


def _first(declared: tuple[SpaceKind, ...], preferred: tuple[str, ...]) -> str:
    return next((kind for kind in preferred if kind in declared), declared[0])


def _parts(declared: tuple[SpaceKind, ...], simple: tuple[str, ...]) -> list[str]:
    """Up to two kinds to compose a dict or tuple of."""
    known: set[str] = {*declared}
    return [kind for kind in simple if kind in known][:2]
