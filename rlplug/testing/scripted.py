"""An environment and a policy that follow a script, so that tests can predict every number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import gymnasium
import numpy as np

from rlplug.protocols import PolicyStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlplug.data import Array, Tree, Weights
    from rlplug.protocols import Mode, PolicyContext, State


class Episode(NamedTuple):
    """What one episode pays, and how it ends."""

    rewards: tuple[float, ...]
    """Reward of each step; as many as the episode has steps."""
    ends: Literal["terminated", "truncated"] = "terminated"


class ScriptedEnv(gymnasium.Env[Any, Any]):
    """Plays the given episodes in turn and starts over; actions change nothing.

    Observes `[number of resets so far, steps in this episode]`, so that each observation of a run
    is unique and a misplaced one shows.

    Args:
        episodes: The script.
        action_space: What it accepts; two discrete actions unless given.
        dict_observation: Observe `{"clock": [2], "odd": 0 or 1}` instead of the clock alone.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - as in gymnasium.Env

    def __init__(
        self,
        episodes: Sequence[Episode],
        *,
        action_space: gymnasium.Space[Any] | None = None,
        dict_observation: bool = False,
        render_mode: str | None = None,
    ) -> None:
        clock = gymnasium.spaces.Box(0.0, np.inf, (2,), np.float32)
        parts: dict[str, gymnasium.Space[Any]] = {
            "clock": clock,
            "odd": gymnasium.spaces.Discrete(2),
        }
        self.observation_space = gymnasium.spaces.Dict(parts) if dict_observation else clock
        self.action_space = action_space or gymnasium.spaces.Discrete(2)
        self.render_mode = render_mode
        self.actions: list[Any] = []
        """Every action it was given."""
        self._episodes = list(episodes)
        self._dict_observation = dict_observation
        self._resets = 0
        self._steps = 0

    def _observe(self) -> Tree:
        clock = np.array([self._resets, self._steps], np.float32)
        if self._dict_observation:
            return {"clock": clock, "odd": self._steps % 2}
        return clock

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tree, dict[str, Any]]:
        """Start the next episode; a seed starts the script over."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._resets = 0
        self._resets += 1
        self._steps = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Tree, float, bool, bool, dict[str, Any]]:
        """Pay the next reward of the script."""
        self.actions.append(np.copy(action))
        episode = self._episodes[(self._resets - 1) % len(self._episodes)]
        reward = episode.rewards[self._steps]
        self._steps += 1
        over = self._steps == len(episode.rewards)
        return (
            self._observe(),
            reward,
            over and episode.ends == "terminated",
            over and episode.ends == "truncated",
            {},
        )

    def render(self) -> Any:
        """A frame of 16 × 24 pixels whose brightness is ten times the step."""
        return np.full((16, 24, 3), min(10 * self._steps, 255), np.uint8)


class ScriptedPolicy:
    """Plays `action` at each call in turn, or 0s; satisfies `protocols.Policy`.

    Its recurrent state counts the calls since each environment's episode began, and is also
    reported as the extra `age`.

    Args:
        config: Ignored; there so that a policy can be built as any other.
        context: Where it acts.
        actions: `[calls, N, ...]`; starts over when it has run out.
    """

    def __init__(
        self, config: object, context: PolicyContext, actions: Array | None = None
    ) -> None:
        del config
        self._actions = actions
        self.context = context
        self._calls = 0
        self.weights: Weights = {}
        self.progress: list[int] = []
        """Every step count it was told."""

    def act(self, observation: Tree, policy_state: Tree, *, mode: Mode) -> PolicyStep:
        """The next row of the script."""
        del observation, mode
        age = policy_state
        if self._actions is None:
            shape = self.context.action_space.shape or ()
            action = np.zeros((len(age), *shape), self.context.action_space.dtype)
        else:
            action = self._actions[self._calls % len(self._actions)]
        self._calls += 1
        return PolicyStep(action, age + 1, {"age": age})

    def initial_state(self, num_envs: int) -> Tree:
        """`[N]` zeros."""
        return np.zeros(num_envs, np.int64)

    def reset(self, policy_state: Tree, which: Array) -> Tree:
        """Back to 0 where `which` is true."""
        return np.where(which, 0, policy_state)

    def set_progress(self, env_steps: int) -> None:
        """Note the step count."""
        self.progress.append(env_steps)

    def set_weights(self, weights: Weights) -> None:
        """Keep the weights."""
        self.weights = weights

    def metrics(self) -> dict[str, float]:
        """How often it acted."""
        return {"calls": self._calls}

    def state_dict(self) -> State:
        """Where it is in its script."""
        return {"calls": self._calls}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict()`."""
        self._calls = state["calls"]
