"""The collector that acts in this process."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from rlplug.collect.block import RolloutBlock
from rlplug.collect.episodes import EpisodeTracker
from rlplug.envs.actions import action_for_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlplug.data import Array, Rollout, Tree, Weights
    from rlplug.envs.adapter import StepAdapter
    from rlplug.protocols import Mode, Policy, State
    from rlplug.seeding import Seeds


class LocalCollector:
    """Steps `N` environments together with one policy; satisfies `protocols.Collector`.

    Actions are in the terms of the action space throughout. A rollout keeps them as the policy
    chose them; only the environment gets them clipped to the bounds of its Boxes.

    A row where NEXT_STEP only resets an environment is no transition and counts no environment
    step. The policy sees it like any other, so its recurrent state is reset once more after it.

    Args:
        adapter: The environments.
        policy: Acts in all of them at once.
        streams: `[N]` int64 global indices of the environments.
        seeds: Names the seed that the environments start from.
        mode: How actions are chosen.
        live_weights: The policy shares the agent's weights, so `set_weights` only notes the
            version. False where the policy keeps a copy, as in another process.
        priorities: `[T, N]` priorities of a rollout's rows, added to its extras; None adds none.
    """

    def __init__(
        self,
        adapter: StepAdapter,
        policy: Policy,
        *,
        streams: Array,
        seeds: Seeds,
        mode: Mode = "explore",
        live_weights: bool = True,
        priorities: Callable[[Rollout], Array] | None = None,
    ) -> None:
        if len(streams) != adapter.num_envs:
            raise ValueError(
                f"streams has {len(streams)} entries for {adapter.num_envs} environments; "
                "pass the global index of each."
            )
        self.env_steps = 0
        self.restarted = np.empty(0, np.int64)
        """`[R]` int64 streams whose episode `load_state_dict` could not continue. What was
        collected from them before must not be joined to what follows (`replay.cut`)."""
        self._adapter = adapter
        self._policy = policy
        self._streams = np.array(streams, np.int64)
        self._reset_seed = seeds.integer("environments")
        self._mode: Mode = mode
        self._live_weights = live_weights
        self._priorities = priorities
        self._weights_version = 0
        self._to_environment = action_for_environment(adapter.action_space)
        self._tracker = EpisodeTracker(self._streams)
        self._policy_state: Tree = None

    def collect(self, num_env_steps: int) -> list[Rollout]:
        """Collect at least `num_env_steps` in whole vector steps, as one rollout."""
        if num_env_steps < 1:
            raise ValueError(f"num_env_steps is {num_env_steps}; ask for at least one.")
        adapter, policy, num_envs = self._adapter, self._policy, self._adapter.num_envs
        if adapter.observation is None:
            adapter.reset(self._reset_seed)
            self._policy_state = policy.initial_state(num_envs)
        observation = adapter.observation
        block = RolloutBlock(-(-num_env_steps // num_envs), num_envs)
        until = self.env_steps + num_env_steps
        while self.env_steps < until:
            policy.set_progress(self.env_steps)
            action, state, extras = policy.act(observation, self._policy_state, mode=self._mode)
            block.write_decision(observation, action, extras)
            step = adapter.step(self._to_environment(action))
            ended = step.final_envs.tolist()
            block.write_outcome(step, ended)
            num_valid = int(np.count_nonzero(step.valid))
            self.env_steps += num_valid
            block.episodes += self._tracker.update(step.reward, step.valid, ended, self.env_steps)
            if ended or num_valid < num_envs:
                state = policy.reset(state, step.episode_over | ~step.valid)
            observation, self._policy_state = step.observation, state
        rollout = block.rollout(
            observation,
            streams=self._streams,
            weights_version=self._weights_version,
            env_steps=self.env_steps,
        )
        if self._priorities is not None:
            rollout.extras["priority"] = self._priorities(rollout)
        return [rollout]

    def set_weights(self, weights: Callable[[], Weights], version: int) -> None:
        """Note the version, and take the weights where the policy does not share them."""
        if not self._live_weights:
            self._policy.set_weights(weights())
        self._weights_version = version

    def metrics(self) -> dict[str, float]:
        """Nothing to report: nothing waits and nothing is stale in one process."""
        return {}

    def state_dict(self) -> State:
        """Everything that the next rollout depends on, apart from the weights."""
        return {
            "env_steps": self.env_steps,
            "weights_version": self._weights_version,
            "adapter": self._adapter.state_dict(),
            "policy": self._policy.state_dict(),
            "episodes": self._tracker.state_dict(),
            "policy_state": copy.deepcopy(self._policy_state),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`: with the very rollout that would have followed.

        Where an environment cannot go on with its episode, that stream starts a new one
        (`restarted`), and all else continues.
        """
        self.env_steps = state["env_steps"]
        self._weights_version = state["weights_version"]
        self._policy.load_state_dict(state["policy"])
        self._policy_state = copy.deepcopy(state["policy_state"])
        self._tracker.load_state_dict(state["episodes"])
        restarted = self._adapter.load_state_dict(state["adapter"])
        self.restarted = self._streams[restarted]
        if restarted.any():
            self._policy_state = self._policy.reset(self._policy_state, restarted)
            self._tracker.restart(restarted)

    def close(self) -> None:
        """Close the environments; safe to call twice."""
        self._adapter.close()
