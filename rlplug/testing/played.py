"""An environment under test, and episodes of it that several checks share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import optree

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_env, make_vector
from rlplug.registry import discovery
from rlplug.resolve import find_environment
from rlplug.specs import EnvironmentConformance, EnvironmentSpec
from rlplug.testing.check import NotApplicableError

if TYPE_CHECKING:
    import gymnasium

    from rlplug.data import Tree
    from rlplug.envs.config import EnvConfig

VECTOR_STEPS = 300
"""Steps of each environment that vector and single ones are compared over."""
NUM_ENVS = 3
SEED = 11


class Event(NamedTuple):
    """What one environment showed: at the start of an episode, on its way, or at its end."""

    kind: str
    """`start` after a seeded reset, `step`, `last` of an episode, `first` of the next one."""
    observation: Tree
    """The caller's own copy."""
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False


class EnvironmentSubject:
    """What the checks of an environment are given."""

    def __init__(self, spec: EnvironmentSpec) -> None:
        self.spec = spec
        self.name = spec.name
        model: type[EnvConfig] = discovery.import_string(spec.config)
        self.config = model(check=False)
        """Without rlplug's own guard, so that each check says what it alone has found."""

    @classmethod
    def of(cls, name_or_spec: str | EnvironmentSpec) -> EnvironmentSubject:
        """Look a name up; a spec stands for itself."""
        return cls(find_environment(name_or_spec))

    @cached_property
    def declared(self) -> EnvironmentConformance:
        """What its author says of it."""
        path = self.spec.conformance
        if path is None:
            return EnvironmentConformance()
        return cast("EnvironmentConformance", discovery.import_string(path))

    def make(self, *, limit: int | None = None, **options: Any) -> gymnasium.Env[Any, Any]:
        """One environment, with episodes of at most `limit` steps; the caller closes it."""
        if not (self.spec.make or self.spec.gymnasium_id or hasattr(self.spec, "factory")):
            raise NotApplicableError("It has a native vector form alone.")
        return make_env(self.spec, self._limited(limit), **options)

    def vector(self, num_envs: int, *, limit: int | None = None) -> StepAdapter:
        """The vector form that training uses; the caller closes it."""
        env = make_vector(self.spec, self._limited(limit), num_envs)
        return StepAdapter(env, name=self.name, quiet=True)

    def _limited(self, limit: int | None) -> EnvConfig:
        if limit is None:
            return self.config
        return self.config.model_copy(update={"max_episode_steps": limit})

    def actions(self, count: int, seed: int) -> list[Any]:
        """Actions drawn from the space, the same for the same seed."""
        env = self.make()
        try:
            env.action_space.seed(seed)
            return [env.action_space.sample() for _ in range(count)]
        finally:
            env.close()


def play(env: gymnasium.Env[Any, Any], actions: list[Any], seed: int | None) -> list[Event]:
    """Events of these actions from a reset on; an episode that ends is followed by another.

    A lost life (`infos["life_lost"]`) terminates for learning, as it does in the vector form.
    """
    events = [Event("start", copied(env.reset(seed=seed)[0]))]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        over = bool(terminated or truncated)
        ends = bool(terminated or info.get("life_lost", False))
        outcome = (float(reward), ends, bool(truncated))
        events.append(Event("last" if over else "step", copied(observation), *outcome))
        if over:
            events.append(Event("first", copied(env.reset()[0])))
    return events


def play_vector(
    adapter: StepAdapter, seed: int, steps: int
) -> tuple[list[list[Event]], list[list[Any]]]:
    """By environment, its events and the actions it was given; actions are drawn from the space."""
    num_envs, space = adapter.num_envs, adapter.action_space
    space.seed(seed)
    shown = copied(adapter.reset(seed))
    events = [[Event("start", _row(shown, index))] for index in range(num_envs)]
    actions: list[list[Any]] = [[] for _ in range(num_envs)]
    for _ in range(steps):
        chosen = [space.sample() for _ in range(num_envs)]
        came = adapter.step(optree.tree_map(lambda *leaves: np.stack(leaves), *chosen))
        finals = came.final_envs.tolist()
        for index in range(num_envs):
            seen = _row(came.observation, index)
            if not came.valid[index]:  # the row that only resets, under NEXT_STEP
                events[index][-1] = Event("first", seen)
                continue
            actions[index].append(chosen[index])
            outcome = (
                float(came.reward[index]),
                bool(came.terminated[index]),
                bool(came.truncated[index]),
            )
            if index in finals:
                final = _row(came.final_observation, finals.index(index))
                events[index] += [Event("last", final, *outcome), Event("first", seen)]
            else:
                events[index].append(Event("step", seen, *outcome))
    return events, actions


def difference(left: Event, right: Event) -> str:
    """What differs between two events, in a few words; empty where nothing."""
    if left.kind != right.kind:
        return f"{left.kind} against {right.kind}"
    if (left.terminated, left.truncated) != (right.terminated, right.truncated):
        return "terminated or truncated"
    if not np.isclose(left.reward, right.reward, rtol=1e-5, atol=1e-6):
        return f"the reward ({left.reward} against {right.reward})"
    paths, leaves, _ = optree.tree_flatten_with_path(left.observation)
    others = optree.tree_leaves(right.observation)
    for path, one, other in zip(paths, leaves, others, strict=True):
        if one.shape != other.shape or not np.allclose(one, other, rtol=1e-5, equal_nan=True):
            return "the observation" + "".join(f"[{key!r}]" for key in path)
    return ""


def _row(tree: Tree, index: int) -> Tree:
    return optree.tree_map(lambda leaf: np.array(leaf[index]), tree)


def copied(tree: Tree) -> Tree:
    """Arrays of its own."""
    return optree.tree_map(np.array, tree)
