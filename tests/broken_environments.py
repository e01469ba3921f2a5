"""A small correct environment, the same with one fault each, and the check meant for each."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.specs import EnvironmentSpec

BROKEN: dict[str, tuple[EnvironmentSpec, str]] = {}
"""By fault: the environment that has it, and the check that is meant to find it."""


def broken(check: str, **fields: Any) -> Any:
    """Register a class, or a maker of a vector environment, that fails a check."""

    def register(made: Any) -> Any:
        name = made.__name__.replace("_", "-").lower()
        maker = "make_vector" if not isinstance(made, type) else "make"
        parts = {"make": "broken_environments:Walk", **fields}
        parts[maker] = f"broken_environments:{made.__name__}"
        BROKEN[name] = (EnvironmentSpec(name=name, summary="Broken", **parts), check)
        return made

    return register


class Walk(gymnasium.Env[Any, Any]):
    """A walk to and fro from a place drawn at random; ends by a fall or after twelve steps."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.render_mode = render_mode
        self.place, self.steps = 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place, self.steps = int(self.np_random.integers(-3, 4)), 0
        return self.show(), {}

    def step(self, action: Any) -> Any:
        self.place += 2 * int(action) - 1
        self.steps += 1
        terminated = abs(self.place) > 6
        return self.show(), self.earn(), terminated, not terminated and self.steps == 12, {}

    def show(self) -> Any:
        return np.array([self.place / 7, self.steps / 12], np.float32)

    def earn(self) -> float:
        return self.place / 7

    def get_state(self) -> dict[str, Any]:
        return {"place": self.place, "steps": self.steps}

    def set_state(self, state: dict[str, Any]) -> None:
        self.place, self.steps = state["place"], state["steps"]

    def render(self) -> Any:
        return np.full((8, 8, 3), 10 * self.steps, np.uint8)


WALK = EnvironmentSpec(name="walk", summary="Correct", make="broken_environments:Walk")


@broken("what it returns is in its spaces")
class OutOfBounds(Walk):
    def show(self) -> Any:
        return super().show() * np.float32(1.0 if self.steps < 9 else 1.5)


@broken("what it returns is in its spaces")
class AnotherDtype(Walk):
    def show(self) -> Any:
        return super().show().astype(np.float32 if self.steps < 9 else np.float64)


@broken("the seed decides the episode")
class Unseeded(Walk):
    def earn(self) -> float:
        noise = np.random.default_rng().random() if self.steps > 4 else 0.0
        return super().earn() + noise

    get_state: Any = None


@broken("the seed decides the episode")
class IgnoresTheSeed(Walk):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        _, info = super().reset(seed=seed)
        self.place = 1
        return self.show(), info


@broken("no global state changes")
class DrawsFromTheGlobalGenerator(Walk):
    def earn(self) -> float:
        np.random.random()  # noqa: NPY002
        return super().earn()


class _Kept:
    episodes: list[Any] = []  # noqa: RUF012


@broken("resets leak no memory")
class Leaks(Walk):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        _Kept.episodes.append(np.ones(4_000))
        return super().reset(seed=seed)


@broken("closing twice is safe")
class ClosesOnce(Walk):
    is_closed = False

    def close(self) -> None:
        if self.is_closed:
            raise RuntimeError("there is nothing left to close")
        self.is_closed = True


@broken("a saved state continues exactly")
class ForgetsItsSteps(Walk):
    def get_state(self) -> dict[str, Any]:
        return {"place": self.place}

    def set_state(self, state: dict[str, Any]) -> None:
        self.place = state["place"]


@broken("rendering gives frames")
class RendersFloats(Walk):
    def render(self) -> Any:
        return np.zeros((8, 8), np.float32)


@broken("Gymnasium's checker passes")
class HasAGeneratorOfItsOwn(Walk):
    """Reproducible, and Gymnasium's own generator is never seeded."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.generator = np.random.default_rng(seed)
        self.place, self.steps = int(self.generator.integers(-3, 4)), 0
        return self.show(), {}

    def get_state(self) -> dict[str, Any]:
        return super().get_state() | {"generator": dict(self.generator.bit_generator.state)}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.generator.bit_generator.state = state["generator"]


class _Shared(SyncVectorEnv):
    """Every environment draws from the generator of the first."""

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        shown = super().reset(seed=seed, options=options)
        for env in self.envs[1:]:
            env.unwrapped.np_random = self.envs[0].unwrapped.np_random
        return shown


@broken("ends and new beginnings are real")
def shares_a_generator(num_envs: int, render_mode: str | None = None) -> Any:
    return _Shared([Walk] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


class _ResetShown(SyncVectorEnv):
    """Gives the next episode's first observation as the last of the one before."""

    def step(self, actions: Any) -> Any:
        shown, reward, terminated, truncated, info = super().step(actions)
        if "final_obs" in info:
            for index in np.flatnonzero(terminated | truncated):
                info["final_obs"][index] = shown[index].copy()
        return shown, reward, terminated, truncated, info


@broken("ends and new beginnings are real")
def shows_the_reset(num_envs: int, render_mode: str | None = None) -> Any:
    return _ResetShown([Walk] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


class _OneSeed(SyncVectorEnv):
    """Seeds all environments alike."""

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        seeds = seed if seed is None else [seed] * self.num_envs
        return super().reset(seed=seeds, options=options)


class _Blurred(SyncVectorEnv):
    """Loses the reward of all environments but the first."""

    def step(self, actions: Any) -> Any:
        shown, reward, *rest = super().step(actions)
        return shown, np.where(np.arange(self.num_envs) == 0, reward, reward[0]), *rest


@broken("the vector form plays the same")
def shares_the_reward(num_envs: int, render_mode: str | None = None) -> Any:
    return _Blurred([Walk] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


@broken("the vector form plays the same")
def seeds_alike(num_envs: int, render_mode: str | None = None) -> Any:
    return _OneSeed([Walk] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
