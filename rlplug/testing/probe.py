"""What every probe environment is: finite, and known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces

if TYPE_CHECKING:
    from rlplug.data import Array


class Probe(gymnasium.Env[Any, Any], ABC):
    """A finite environment whose values are known; an action outside its space is a ValueError.

    States are row numbers of `observations`. What follows a state depends on no action.
    """

    observations: Array
    """`[S, *obs]` what each state shows; distinct, unless remembering is the task."""
    best_actions: Array
    """`[S, ...]` an optimal action in each state."""

    def __init__(
        self,
        observations: Any,
        action_space: gymnasium.Space[Any],
        best_actions: Any,
        *,
        time_limit: int | None = None,
    ) -> None:
        self.observations = np.array(observations, np.float32)
        self.best_actions = np.array(best_actions, action_space.dtype)
        shape = self.observations.shape[1:]
        self.observation_space = spaces.Box(-1.0, 1.0, shape, np.float32)
        self.action_space = action_space
        self._time_limit = time_limit
        self._state = 0
        self._steps = 0

    @abstractmethod
    def expected_value(self, gamma: float) -> Array:
        """`[S]` value of each state under the best policy."""

    @abstractmethod
    def reward(self, state: int, action: Any) -> float:
        """What an action earns."""

    def first(self) -> int:
        """The state an episode begins in."""
        return 0

    def following(self, state: int) -> tuple[int, bool]:
        """The next state, and whether the episode terminated on the way."""
        return state, True

    def expected_q_values(self, gamma: float) -> Array:
        """`[S, A]` value of each discrete action followed by the best policy."""
        value = self.expected_value(gamma)
        actions = _every_action(self.action_space)
        table = np.zeros((len(value), len(actions)))
        for state in range(len(value)):
            after, terminated = self.following(state)
            for column, action in enumerate(actions):
                bootstrap = 0.0 if terminated else gamma * value[after]
                table[state, column] = self.reward(state, action) + bootstrap
        return table

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed, options=options)
        self._state, self._steps = self.first(), 0
        return self.observations[self._state].copy(), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Earn the action's reward and move on."""
        if not self.action_space.contains(action):
            raise ValueError(
                f"Action {action!r} is not in {self.action_space}; "
                "send actions in the environment's own terms and within its bounds."
            )
        reward = self.reward(self._state, action)
        self._state, terminated = self.following(self._state)
        self._steps += 1
        truncated = not terminated and self._steps == self._time_limit
        return self.observations[self._state].copy(), reward, terminated, truncated, {}

    def get_state(self) -> dict[str, Any]:
        """What the rest of the episode depends on; who saves it saves `np_random` too."""
        return {"state": self._state, "steps": self._steps}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from `get_state()`."""
        self._state, self._steps = state["state"], state["steps"]


def _every_action(space: gymnasium.Space[Any]) -> range:
    if not isinstance(space, spaces.Discrete):
        raise TypeError(f"{space} has no finite number of actions; ask for expected_value instead.")
    return range(int(space.start), int(space.start + space.n))
