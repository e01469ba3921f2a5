"""The one step adapter: any Gymnasium vector environment as true transitions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import optree
from gymnasium.spaces import Box
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.utils import concatenate, create_empty_array

from rlplug.envs.guard import BatchCheck, Problem, fault_message
from rlplug.envs.state import keeps_own_state
from rlplug.envs.sub_environment import SubEnvironmentMaker, describe_error, raise_carried_fault
from rlplug.errors import CheckpointError, EnvironmentFaultError, RlplugError

if TYPE_CHECKING:
    from collections.abc import Callable

    import gymnasium

    from rlplug.data import Array, Tree
    from rlplug.protocols import State

    VectorEnv = gymnasium.vector.VectorEnv[Any, Any, Any]

logger = logging.getLogger("rlplug.envs")


class AdapterStep(NamedTuple):
    """What came of one action in each of N environments."""

    observation: Tree
    """`[N, *obs]` to act on next. Valid until the next step or reset, which may write over it."""
    reward: Array
    """`[N]` float32 raw reward."""
    terminated: Array
    """`[N]` bool: what follows is worth nothing to learning. The episode ended, or goes on after
    a lost life (`infos["life_lost"]`)."""
    truncated: Array
    """`[N]` bool."""
    episode_over: Array
    """`[N]` bool: the episode ended, terminated or truncated."""
    valid: Array
    """`[N]` bool: False where the step was no transition: the environment was only reset."""
    final_envs: Array
    """`[F]` int64 environments whose episode ended at this step, ascending."""
    final_observation: Tree
    """`[F, *obs]` what those environments showed last, before any reset; the caller's own."""


_Row: TypeAlias = "tuple[Array, Array, Array, Array]"
"""`reward`, `terminated`, `truncated` and `episode_over` of a step, as `AdapterStep` has them."""


class StepAdapter:
    """Turns the steps of a vector environment into transitions, whatever its autoreset mode.

    In each mode an environment yields the same stream of valid transitions:

    - SAME_STEP: the final observation is taken from the infos.
    - NEXT_STEP: the row that only resets comes back with `valid` False, reward 0 and not ended.
    - DISABLED: ended environments are reset at once, so that it looks like SAME_STEP.

    An environment whose episode is made of several lives may say so: where the `[N]` bools
    `infos["life_lost"]` are true the step counts as terminated, and the episode goes on.

    A resumed run continues the running episodes where the environments can tell their state: those
    of `make_vector` (see `envs.state`), and any vector environment that has `get_state()` and
    `set_state(state)` for all of its environments, their generators and pending resets (None from
    `get_state` is no state).

    Args:
        vector_env: Any `gymnasium.vector.VectorEnv`; the adapter closes it.
        name: Of the environment, for messages.
        check: Refuse values that are not finite, and a wrong shape or dtype.
        quiet: Do not warn of observations out of bounds.
    """

    def __init__(
        self, vector_env: VectorEnv, *, name: str, check: bool = True, quiet: bool = False
    ) -> None:
        self.num_envs = vector_env.num_envs
        self.observation_space = vector_env.single_observation_space
        self.action_space = vector_env.single_action_space
        self.vector_steps = 0
        """Steps of all environments together, over the whole run."""
        self.observation: Tree = None
        """`[N, *obs]` to act on next; None before the first reset."""
        self._env: Any = vector_env  # may have get_state, set_state and call
        self._name = name
        self._seed: int | None = None
        self._check = (
            BatchCheck(self.observation_space, self.num_envs, name=name, quiet=quiet)
            if check
            else None
        )
        mode = self._autoreset_mode()
        self._finish: Callable[..., AdapterStep] = {
            AutoresetMode.SAME_STEP: self._finish_same_step,
            AutoresetMode.NEXT_STEP: self._finish_next_step,
            AutoresetMode.DISABLED: self._finish_disabled,
        }[mode]
        self._resets_next = np.zeros(self.num_envs, np.bool_)
        self._any_resets_next = False
        self._closed = False
        self._in_call = False
        """Also after a step or reset that did not come back."""
        self._all_valid = _constant(np.ones(self.num_envs, np.bool_))
        self._no_envs = _constant(np.empty(0, np.int64))
        self._no_observation = create_empty_array(self.observation_space, n=0)

    @property
    def vector_action_space(self) -> gymnasium.Space[Any]:
        """Of all environments together."""
        space: gymnasium.Space[Any] = self._env.action_space
        return space

    def _autoreset_mode(self) -> AutoresetMode:
        mode = self._env.metadata.get("autoreset_mode")
        try:
            return AutoresetMode(mode)
        except ValueError as error:
            raise EnvironmentFaultError(
                f"Environment {self._name!r} has autoreset_mode {mode!r} in its metadata, expected "
                f"one of gymnasium's {', '.join(str(known) for known in AutoresetMode)}."
            ) from error

    def reset(self, seed: int | None = None) -> Tree:
        """Start every environment; with a seed, environment i gets `seed + i` from Gymnasium.

        Returns:
            `[N, *obs]` to act on.
        """
        self._seed = seed
        self._resets_next[:] = False
        self._any_resets_next = False
        self.observation = self._reset(seed=seed)
        return self.observation

    def step(self, action: Tree) -> AdapterStep:
        """Play `[N, ...]` actions, in the terms of the action space."""
        self.vector_steps += 1
        self._in_call = True
        try:
            observation, reward, terminated, truncated, info = self._env.step(action)
        except RlplugError:
            raise
        except Exception as error:
            raise self._fault(Problem(f"raised {describe_error(error)}", None)) from error
        self._in_call = False
        raise_carried_fault(info)
        check = self._check
        if check is not None:
            problem = (
                check.reward(reward)
                or check.ends(terminated, truncated)
                or check.observation(observation)
            )
            if problem is not None:
                raise self._fault(problem)
        over = terminated | truncated
        if info and (life_lost := info.get("life_lost")) is not None:
            terminated = terminated | life_lost
        row = (reward.astype(np.float32), terminated, truncated, over)
        step = self._finish(observation, row, info)
        self.observation = step.observation
        return step

    def _finish_same_step(self, observation: Tree, row: _Row, info: Any) -> AdapterStep:
        envs = row[-1].nonzero()[0]
        if not len(envs):
            return self._running(observation, row, self._all_valid)
        finals = info.get("final_obs")
        if finals is None:
            text = "ended an episode without infos['final_obs'], expected one under SAME_STEP"
            raise self._fault(Problem(text, int(envs[0])))
        if isinstance(finals, np.ndarray) and finals.dtype == object:
            final = self._gathered([finals[env] for env in envs.tolist()])
        else:
            final = _rows(finals, envs)
        self._look_at(final, envs)
        return AdapterStep(observation, *row, self._all_valid, envs, final)

    def _gathered(self, finals: list[Tree]) -> Tree:
        """`[F, *obs]` of single observations."""
        space = self.observation_space
        if type(space) is Box:  # most are, and Gymnasium's way takes twice as long
            gathered = np.array(finals)  # a fifth of the time of `np.stack`
            return gathered.astype(space.dtype, casting="same_kind", copy=False)
        into: Any = create_empty_array(space, n=len(finals))
        return concatenate(space, finals, into)

    def _finish_next_step(self, observation: Tree, row: _Row, info: Any) -> AdapterStep:
        valid = self._all_valid
        if self._any_resets_next:
            valid = ~self._resets_next
            reward, terminated, truncated, over = row
            reward[self._resets_next] = 0.0
            if info or np.count_nonzero(over & self._resets_next):  # most leave them False
                row = (reward, terminated & valid, truncated & valid, over & valid)
        over = row[-1]
        envs = over.nonzero()[0]
        self._resets_next = over
        self._any_resets_next = len(envs) > 0
        if not self._any_resets_next:
            return self._running(observation, row, valid)
        return AdapterStep(observation, *row, valid, envs, _rows(observation, envs))

    def _finish_disabled(self, observation: Tree, row: _Row, _info: Any) -> AdapterStep:
        envs = row[-1].nonzero()[0]
        if not len(envs):
            return self._running(observation, row, self._all_valid)
        final = _rows(observation, envs)  # before the reset, which may write over it
        observation = self._reset(options={"reset_mask": row[-1]})
        return AdapterStep(observation, *row, self._all_valid, envs, final)

    def _running(self, observation: Tree, row: _Row, valid: Array) -> AdapterStep:
        return AdapterStep(observation, *row, valid, self._no_envs, self._no_observation)

    def _reset(self, **arguments: Any) -> Tree:
        observation, info = self._call("reset", **arguments)
        raise_carried_fault(info)
        self._look_at(observation)
        return observation

    def _call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        self._in_call = True
        try:
            answer = getattr(self._env, method)(*arguments, **keywords)
        except RlplugError:
            raise
        except Exception as error:
            problem = Problem(f"raised {describe_error(error)} in {method}", None)
            raise self._fault(problem) from error
        self._in_call = False
        return answer

    def _look_at(self, observation: Tree, envs: Array | None = None) -> None:
        problem = self._check.observation(observation, envs) if self._check else None
        if problem is not None:
            raise self._fault(problem)

    def _fault(self, problem: Problem) -> EnvironmentFaultError:
        seed = self._seed
        if seed is not None and problem.environment is not None and hasattr(self._env, "env_fns"):
            seed += problem.environment  # as Gymnasium's sync and async vector environments do
        message = fault_message(self._name, problem, step=self.vector_steps, seed=seed)
        return EnvironmentFaultError(message)

    def state_dict(self) -> State:
        """All that the next steps depend on; `environments` is None where they cannot tell."""
        return {
            "vector_steps": self.vector_steps,
            "seed": self._seed,
            "resets_next": self._resets_next.copy(),
            "observation": None
            if self.observation is None
            else [np.array(leaf) for leaf in optree.tree_leaves(self.observation)],
            "environments": None if self.observation is None else self._environments_state(),
        }

    def load_state_dict(self, state: State) -> Array:
        """Continue from `state_dict()`; `observation` is then what to act on.

        Episodes whose environment gave no state start again, with a seed of their own.

        Returns:
            `[N]` bool: environments whose episode started again.

        Raises:
            CheckpointError: if the state is of another number of environments.
        """
        num_saved = len(state["resets_next"])
        if num_saved != self.num_envs:
            raise CheckpointError(
                f"The saved state is of {num_saved} environments, the run has {self.num_envs}. "
                "Resume with the launch settings that the run had."
            )
        self.vector_steps = state["vector_steps"]
        if state["observation"] is None:
            return np.zeros(self.num_envs, np.bool_)
        seed = state["seed"]
        self.reset(None if seed is None else _another_seed(seed, self.vector_steps))
        if state["environments"] is None:
            logger.warning(
                "The state of environment %r cannot be read: it, or a wrapper, has no get_state "
                "and set_state. %d running episodes start again; all else continues exactly.",
                *(self._name, self.num_envs),
            )
            return np.ones(self.num_envs, np.bool_)
        self._resets_next = state["resets_next"].copy()
        self._any_resets_next = bool(self._resets_next.any())
        self._write_environments(state["environments"])
        self._seed = seed
        leaves = [leaf.copy() for leaf in state["observation"]]
        self.observation = optree.tree_unflatten(optree.tree_structure(self.observation), leaves)
        return np.zeros(self.num_envs, np.bool_)

    def _environments_state(self) -> State | None:
        if keeps_own_state(self._env):
            own = self._call("get_state")
            return None if own is None else {"own": own}
        if not self._is_restorable():
            return None
        snapshots = list(self._call("call", "snapshot"))
        for snapshot in snapshots:
            raise_carried_fault(snapshot)
        return None if None in snapshots else {"each": snapshots}

    def _write_environments(self, state: State) -> None:
        if "own" in state:
            self._call("set_state", state["own"])
            return
        for answer in self._call("call", "restore", state["each"], self._resets_next.tolist()):
            raise_carried_fault(answer)

    def _is_restorable(self) -> bool:
        """Whether every environment is a `SubEnvironment`, and nothing is around them all."""
        makers = getattr(self._env, "env_fns", ())
        return bool(makers) and all(isinstance(maker, SubEnvironmentMaker) for maker in makers)

    def close(self) -> None:
        """Close the environments; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        bare = self._env.unwrapped
        if self._in_call and isinstance(bare, AsyncVectorEnv):
            _stop_processes(bare)
            return
        try:
            self._env.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run is over
            logger.warning("Environment %r raised %s in close.", self._name, describe_error(error))


def _stop_processes(env: AsyncVectorEnv) -> None:
    """Close one that waits for an answer, which may never come."""
    for process in env.processes:
        process.terminate()
        process.join()
    for pipe in env.parent_pipes:
        pipe.close()
    env.closed = True


def _constant(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _rows(tree: Tree, rows: Array) -> Tree:
    """A copy of some rows of every array."""
    if type(tree) is np.ndarray:
        return tree[rows]
    return optree.tree_map(lambda leaf: leaf[rows], tree)


def _another_seed(seed: int, vector_steps: int) -> int:
    return int(np.random.SeedSequence((seed, vector_steps)).generate_state(1)[0] >> 1)
