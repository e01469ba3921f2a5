"""Procgen's vector environment as Gymnasium's, and a single environment of the same kind.

actions ─► the simulator's C++ threads ─► reward, observation, first
                                              │ an episode that ended has begun anew already
                                              ▼
              reward, observation, terminated, truncated, infos["final_obs"]
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from pydantic import ValidationError

from rlplug.envs.config import EnvConfig
from rlplug.errors import ConfigError
from rlplug_procgen import game_state, simulator
from rlplug_procgen.config import ProcgenConfig

if TYPE_CHECKING:
    from procgen import ProcgenGym3Env

    from rlplug.data import Array
    from rlplug.protocols import State

OBSERVATIONS = spaces.Box(0, 255, (64, 64, 3), np.uint8)
ACTIONS = spaces.Discrete(15)
END_EPISODE = -1
"""The action that makes the simulator begin a new episode."""
NO_LIMIT = 2**31 - 1
_MANY = 16
METADATA = {"render_modes": ["rgb_array"], "render_fps": 15}


def make_vector(
    num_envs: int,
    game: str,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    **options: Any,
) -> ProcgenVectorEnv:
    """Build `num_envs` games that step together.

    Args:
        num_envs: How many.
        game: Short name, such as `coinrun`.
        render_mode: `rgb_array` draws frames of 512 x 512; None draws none.
        max_episode_steps: Steps after which an episode is truncated; None takes the game's own.
        options: Fields of `ProcgenConfig`.

    Raises:
        ConfigError: options that there are not, or that do not go together.
        PluginError: the simulator is missing, or cannot run beside this numpy.
    """
    if render_mode not in {None, "rgb_array"}:
        raise ConfigError(
            f"Procgen cannot be rendered as {render_mode!r}: it opens no window. Record a video "
            "instead: --video FILE.mp4"
        )
    known = [name for name in ProcgenConfig.model_fields if name not in EnvConfig.model_fields]
    if unknown := options.keys() - set(known):
        raise ConfigError(
            f"env.kwargs: procgen/{game} takes no {', '.join(sorted(unknown))}; it takes: "
            f"{', '.join(known)}."
        )
    try:
        config = ProcgenConfig.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"env.kwargs.{name}: {first['input']!r} will not do: {first['msg']}"
        ) from error
    return ProcgenVectorEnv(
        num_envs, game, config, render_mode=render_mode, max_episode_steps=max_episode_steps
    )


def make(
    game: str,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    **options: Any,
) -> ProcgenEnv:
    """Build one game: for videos, and for wrappers that go around a single environment.

    Args and errors are those of `make_vector`.
    """
    return ProcgenEnv(make_vector(1, game, render_mode, max_episode_steps, **options))


def _threads_for(num_envs: int) -> int:
    """What measured fastest: handing a few games to other threads takes longer than their steps."""
    return 0 if num_envs < _MANY else min(len(os.sched_getaffinity(0)), 4)


class ProcgenVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Games that step together in Procgen's C++ threads; they reset in the same step.

    What Procgen does not tell is found out here. It says only that an episode is over, and shows
    the next one's first observation. So the one step at which a game would end an episode by its
    time limit is played in a copy without that limit too: if the copy goes on, the episode was
    truncated, and the copy shows its true final observation. A terminated episode's last
    observation is never shown; `final_obs` has the one before, and nothing learns from its value.
    """

    metadata: dict[str, Any] = {**METADATA, "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - Gymnasium's

    def __init__(
        self,
        num_envs: int,
        game: str,
        config: ProcgenConfig,
        *,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        self.num_envs = num_envs
        self.single_observation_space = OBSERVATIONS
        self.single_action_space = ACTIONS
        self.observation_space = batch_space(OBSERVATIONS, num_envs)
        self.action_space = batch_space(ACTIONS, num_envs)
        self.render_mode = render_mode
        self._simulator = simulator.load()
        self._arguments = simulator.arguments(game, config)
        self._num_threads = config.num_threads
        if self._num_threads is None:
            self._num_threads = _threads_for(num_envs)
        self._completes_within = config.use_sequential_levels
        self._own_time_limit = max_episode_steps
        self._games: ProcgenGym3Env | None = None
        self._copy: ProcgenGym3Env | None = None
        self._time_limit = 0
        self._clock = 0
        """Steps since the reset."""
        self._began_at = np.zeros(num_envs, np.int64)
        """`[N]` the clock when each level began."""
        self._next_limit_at = 0
        """No level comes to its time limit before the clock shows this."""
        self._observation: Array = np.empty(0)
        self._none_truncated = np.zeros(num_envs, np.bool_)
        self._none_truncated.flags.writeable = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin new episodes everywhere.

        Args:
            seed: Draws the levels, as `rand_seed` does in Procgen alone.
            options: None are known.
        """
        super().reset(seed=seed, options=options)
        if self._games is None or seed is not None:
            self._build(int(self.np_random.integers(2**31)) if seed is None else seed % 2**31)
        else:
            self._games.act(np.full(self.num_envs, END_EPISODE, np.int32))
        self._start_clock(np.zeros(self.num_envs, np.int64))
        self._observation = self._running.observe()[1]["rgb"]
        return self._observation, {}

    def _start_clock(self, level_steps: Array) -> None:
        """Let each level be so many steps old."""
        self._clock = 0
        self._began_at[:] = -level_steps
        self._next_limit_at = self._time_limit + int(self._began_at.min())

    def step(self, actions: Any) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Play one step of every game."""
        games = self._running
        actions = np.asarray(actions)
        before = self._observation
        self._clock += 1
        beyond: dict[int, Array] = {}
        if self._clock < self._next_limit_at:
            games.act(actions)
        else:
            beyond = self._act_at_limit(games, actions)
        reward, shown, over = games.observe()
        self._observation = observation = shown["rgb"]
        if self._completes_within:
            completed = [info["prev_level_complete"] == 1 for info in games.get_info()]
            self._began_at[completed] = self._clock
        ended = over.nonzero()[0]
        if not len(ended):
            return observation, reward, over, self._none_truncated, {}
        self._began_at[ended] = self._clock
        final = np.empty(self.num_envs, object)
        for index in ended.tolist():
            final[index] = before[index]
        info = {"final_obs": final, "_final_obs": over}
        if not beyond:
            return observation, reward, over, self._none_truncated, info
        truncated = np.zeros(self.num_envs, np.bool_)
        for index, shown_there in beyond.items():
            if over[index]:
                truncated[index], final[index] = True, shown_there
        return observation, reward, over & ~truncated, truncated, info

    def _act_at_limit(self, games: ProcgenGym3Env, actions: Array) -> dict[int, Array]:
        """Act, and look at what the time limit may cut off.

        Returns:
            For each game that comes to its limit at this step and is not over by itself: what it
            shows after the step.
        """
        last = np.flatnonzero(self._clock - self._began_at >= self._time_limit).tolist()
        states = [game_state.read(games, index) for index in last]
        games.act(actions)  # its threads are at work while the copies play
        shown = {
            index: self._beyond(state, actions[index])
            for index, state in zip(last, states, strict=True)
        }
        oldest = min([self._clock, *np.delete(self._began_at, last).tolist()])
        self._next_limit_at = self._time_limit + oldest
        return {index: there for index, there in shown.items() if there is not None}

    def _beyond(self, state: bytes, action: Any) -> Array | None:
        """What a game shows after an action if it has no time limit; None where it is over."""
        if self._copy is None:
            self._copy = self._simulator(num=1, num_threads=0, rand_seed=0, **self._arguments)
        game_state.write(self._copy, 0, game_state.with_time_limit(state, NO_LIMIT))
        self._copy.act(np.full(1, action, np.int32))
        _, shown, over = self._copy.observe()
        return None if over[0] else shown["rgb"][0]

    def _build(self, rand_seed: int) -> None:
        if self._games is not None:
            self._games.close()
        self._games = games = self._simulator(
            num=self.num_envs,
            rand_seed=rand_seed,
            num_threads=self._num_threads,
            render_mode=self.render_mode,
            **self._arguments,
        )
        self._time_limit = game_state.time_limit(game_state.read(games, 0))
        if self._own_time_limit is not None:
            self._time_limit = self._own_time_limit
            for index in range(self.num_envs):
                state = game_state.read(games, index)
                game_state.write(games, index, game_state.with_time_limit(state, self._time_limit))

    @property
    def _running(self) -> ProcgenGym3Env:
        if self._games is None:
            raise gymnasium.error.ResetNeeded("Procgen's games step after a reset.")
        return self._games

    def level_seeds(self) -> Array:
        """`[N]` numbers of the levels that are being played."""
        return np.array([info["level_seed"] for info in self._running.get_info()])

    def render(self) -> tuple[Array, ...]:
        """What each game shows, `[512, 512, 3]` uint8."""
        return tuple(info["rgb"] for info in self._running.get_info())

    def get_state(self) -> State:
        """All that the next steps depend on."""
        games = self._running
        return {
            "games": [
                np.frombuffer(game_state.read(games, index), np.uint8).copy()
                for index in range(self.num_envs)
            ],
            "level_steps": self._clock - self._began_at,
        }

    def set_state(self, state: State) -> None:
        """Continue from `get_state()`, after a reset."""
        for index, game in enumerate(state["games"]):
            game_state.write(self._running, index, np.asarray(game).tobytes())
        self._start_clock(np.asarray(state["level_steps"]))
        self._observation = self._running.observe()[1]["rgb"]

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002 - Gymnasium's signature
        """Stop the simulator's threads."""
        for games in (self._games, self._copy):
            if games is not None:
                games.close()
        self._games = self._copy = None


class ProcgenEnv(gymnasium.Env[Any, Any]):
    """One game."""

    metadata: dict[str, Any] = METADATA
    observation_space = OBSERVATIONS
    action_space = ACTIONS

    def __init__(self, vector_env: ProcgenVectorEnv) -> None:
        self.render_mode = vector_env.render_mode
        self._vector_env = vector_env
        self._next_observation: Array | None = None
        """The first of the next episode, which the simulator has begun already."""
        self._frame: Array | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed, options=options)
        if seed is not None or self._next_observation is None:
            observations, _ = self._vector_env.reset(seed=seed)
            self._next_observation = observations[0]
        observation, self._next_observation = self._next_observation, None
        return observation, {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Play one step."""
        played = self._vector_env.step(np.full(1, action, np.int32))
        observation, reward, terminated, truncated = (part[0] for part in played[:4])
        if terminated or truncated:
            self._next_observation, observation = observation, played[4]["final_obs"][0]
        return observation, float(reward), bool(terminated), bool(truncated), {}

    def render(self) -> Array | None:  # type: ignore[override]  # Gymnasium allows lists too
        """What the game shows; where its episode is over, what was drawn last."""
        if self.render_mode is not None and (self._next_observation is None or self._frame is None):
            (self._frame,) = self._vector_env.render()
        return self._frame

    def get_state(self) -> State:
        """All that the next steps depend on."""
        return {"games": self._vector_env.get_state(), "next": self._next_observation}

    def set_state(self, state: State) -> None:
        """Continue from `get_state()`, after a reset."""
        self._vector_env.set_state(state["games"])
        self._next_observation = state["next"]

    def close(self) -> None:
        """Stop the simulator's threads."""
        self._vector_env.close()
