"""ale-py's native vector environment: whole games, lost lives told apart, and a state.

ale-py resets a game that ended in the thread that played it, and never tells its emulators' state.
Here every environment is seeded now and then (`starts.RESEED_AFTER_STEPS`), and its actions since
are kept: seed and actions bring back the very game, sticky actions and idle frames included.
"""

from __future__ import annotations

import logging
import os
import zlib
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode

from rlplug.errors import CheckpointError
from rlplug.seeding import generator_state, set_generator_state
from rlplug_atari.history import History
from rlplug_atari.starts import RESEED_AFTER_STEPS, draw_seed

if TYPE_CHECKING:
    from rlplug.data import Array
    from rlplug.protocols import State
    from rlplug_atari.config import AtariConfig

logger = logging.getLogger("rlplug.envs")

_NO_ACTION = 0
"""What games play that wait for their part of a replay; the first action of every game."""


class NativeGames(AtariVectorEnv):
    """`num_envs` games of one kind that step together in C++ threads, reset in the same step.

    Environment i draws the seeds of its games from a generator seeded with `seed + i`.

    Args:
        game: The ROM's name.
        num_envs: `N`.
        config: How they are played.
    """

    metadata: ClassVar[dict[str, Any]] = {}  # its own: ale-py writes into that of its class

    def __init__(self, game: str, num_envs: int, config: AtariConfig) -> None:
        super().__init__(
            game,
            num_envs,
            num_threads=config.threads or min(num_envs, len(os.sched_getaffinity(0))),
            max_num_frames_per_episode=config.max_frames,
            repeat_action_probability=config.sticky_actions,
            full_action_space=config.full_action_space,
            autoreset_mode=AutoresetMode.SAME_STEP,
            img_height=config.height,
            img_width=config.width,
            grayscale=config.grayscale,
            stack_num=config.frame_stack,
            frameskip=config.frame_skip,
            maxpool=config.max_pool,
            noop_max=config.max_noop_frames + 1,  # ale-py draws below it
            use_fire_reset=config.fire_on_reset,
            episodic_life=False,  # ale-py would begin a new game after each life
            reward_clipping=False,
        )
        self._tells_lives = config.episodic_life
        self._history = History(num_envs) if config.exact_resume else None
        self._generators = [np_random(None)[0] for _ in range(num_envs)]
        self._seeds = np.zeros(num_envs, np.int64)
        self._lives: Array = np.zeros(num_envs, np.int32)
        self._observation: Array = np.empty(0, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin new games: in all environments, or where `options["reset_mask"]` is true."""
        which = (options or {}).get("reset_mask", np.ones(self.num_envs, np.bool_))
        if seed is not None:
            for env in np.flatnonzero(which):
                self._generators[env] = np_random(seed + int(env))[0]
        return self._begin(which)

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Play `[N]` actions; `infos["life_lost"]` `[N]` tells lives lost in games that go on."""
        if self._history is not None:
            self._history.append(actions)
        observation, reward, terminated, truncated, info = super().step(actions)
        over = terminated | truncated
        lives = info["lives"]
        if self._tells_lives:
            info["life_lost"] = (lives < self._lives) & (lives > 0) & ~over
        self._observation, self._lives = observation, lives
        if self._history is not None and np.count_nonzero(over):
            due = over & (self._history.lengths >= RESEED_AFTER_STEPS)
            if due.any():
                observation, begun = self._begin(due)
                info |= begun
        return observation, reward, terminated, truncated, info

    def _begin(self, which: Array) -> tuple[Array, dict[str, Any]]:
        """New games, with new seeds, where `which` `[N]` is true."""
        envs = np.flatnonzero(which)
        self._seeds[envs] = [draw_seed(self._generators[env]) for env in envs]
        if self._history is not None:
            self._history.forget(envs)
        return self._load(which)

    def _load(self, which: Array) -> tuple[Array, dict[str, Any]]:
        observation, info = super().reset(
            seed=self._seeds[which], options={"reset_mask": np.asarray(which)}
        )
        self._observation, self._lives = observation, info["lives"]
        return observation, info

    def get_state(self) -> State | None:
        """Seeds, and the actions since; None where they are not kept."""
        if self._history is None:
            return None
        return {
            "seeds": self._seeds.copy(),
            "lengths": self._history.lengths.copy(),
            "actions": self._history.actions(),
            "generators": [generator_state(generator) for generator in self._generators],
            "observation_crc": zlib.crc32(self._observation),
        }

    def set_state(self, state: State) -> None:
        """Play the games of `get_state()` again, each from its seed.

        Raises:
            CheckpointError: they come out differently, as in another version of ale-py.
        """
        lengths, actions = state["lengths"], state["actions"]
        logger.info("Playing %d games again to go on where they were.", self.num_envs)
        self._seeds = state["seeds"].copy()
        num_steps = len(actions)
        for step in range(num_steps + 1):
            begins = lengths == num_steps - step
            if begins.any():
                self._load(begins)
            if step < num_steps:
                action = np.where(lengths >= num_steps - step, actions[step], _NO_ACTION)
                self._observation, *_, info = super().step(action.astype(np.int64))
                self._lives = info["lives"]
        if zlib.crc32(self._observation) != state["observation_crc"]:
            raise CheckpointError(
                "The games that were running cannot be brought back: this ale-py plays the same "
                "actions differently. Resume with the version that the run folder names."
            )
        self._history = History(self.num_envs, lengths, actions)
        for generator, saved in zip(self._generators, state["generators"], strict=True):
            set_generator_state(generator, saved)

    def close_extras(self, **_kwargs: Any) -> None:
        """End ale-py's threads."""
        self.ale = None
