"""One game with Gymnasium's preprocessing: what the native vector environment cannot do.

That is drawing, other modes and difficulties, wrappers, and environments in processes of their
own. What it shows is what the native one shows: games are seeded, begun and timed as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ale_py
import numpy as np
from ale_py.env import AtariEnv
from gymnasium.utils.seeding import np_random
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from rlplug_atari.starts import RESEED_AFTER_STEPS, draw_seed, idle_frames

if TYPE_CHECKING:
    import gymnasium

    from rlplug.data import Array
    from rlplug.protocols import State
    from rlplug_atari.config import AtariConfig

_NEW_GAME = 255
"""Stands in a history for the begin of a game."""


def single_game(
    game: str, config: AtariConfig, render_mode: str | None
) -> gymnasium.Env[Array, Any]:
    """The game, its preprocessing, and a stack of frames that begins with black ones."""
    preprocessed = Preprocessing(Game(game, config, render_mode), config)
    return FrameStackObservation(preprocessed, config.frame_stack, padding_type="zero")


class Game(AtariEnv):
    """Frames of one game: begun as the native vector environment begins them, with a state."""

    def __init__(self, game: str, config: AtariConfig, render_mode: str | None) -> None:
        super().__init__(
            game,
            mode=config.game_mode,
            difficulty=config.difficulty,
            obs_type="grayscale" if config.grayscale else "rgb",
            frameskip=1,
            repeat_action_probability=config.sticky_actions,
            full_action_space=config.full_action_space,
            render_mode=render_mode,
        )
        self.steps_since_seed = 0
        """Environment steps, which the preprocessing counts."""
        self._config = config
        self._fires = config.fire_on_reset and ale_py.Action.FIRE in self._action_set
        self._seed: int | None = None
        self._frames = 0
        self._history = bytearray()
        if not config.exact_resume:
            self.get_state = None  # no state is read where there is no such method

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin a game, with a new seed where one is given or due; there are no options."""
        del options
        if seed is not None:
            self.np_random = np_random(seed)[0]
        is_due = self._config.exact_resume and self.steps_since_seed >= RESEED_AFTER_STEPS
        if seed is not None or self._seed is None or is_due:
            self._load(draw_seed(self.np_random))
        self._history.append(_NEW_GAME)
        self._begin()
        return self._get_obs(), self._get_info()

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Play one frame."""
        self._history.append(int(action))
        observation, reward, terminated, _, info = super().step(action)
        self._frames += 1
        truncated = not terminated and self._frames >= self._config.max_frames
        return observation, reward, terminated, truncated, info

    def _load(self, seed: int) -> None:
        self.ale.setInt("random_seed", seed)
        self.load_game()
        self._draw_idle_frames = idle_frames(seed, self._config.max_noop_frames)
        self._seed = seed
        self._history.clear()
        self.steps_since_seed = 0

    def _begin(self) -> None:
        self.ale.reset_game()
        if self._fires:
            self.ale.act(ale_py.Action.FIRE)
        for _ in range(self._draw_idle_frames() - self._fires):
            self.ale.act(ale_py.Action.NOOP)
            if self.ale.game_over():
                self.ale.reset_game()
        self._frames = 0

    def get_state(self) -> State:
        """The seed, and all that was played since: ALE's own state lacks the sticky action."""
        return {
            "seed": self._seed,
            "history": np.frombuffer(bytes(self._history), np.uint8).copy(),
            "frames": self._frames,
            "steps_since_seed": self.steps_since_seed,
        }

    def set_state(self, state: State) -> None:
        """Play it again."""
        self._load(state["seed"])
        self._history[:] = state["history"].tobytes()
        for code in self._history:
            if code == _NEW_GAME:
                self._begin()
            else:
                self.ale.act(self._action_set[code])
        self._frames, self.steps_since_seed = state["frames"], state["steps_since_seed"]


class Preprocessing(AtariPreprocessing):
    """Gymnasium's, with max-pooling as an option, and lives that are lost while the game goes on.

    Args:
        env: The game, frame by frame.
        config: How it is played.
    """

    def __init__(self, env: Game, config: AtariConfig) -> None:
        super().__init__(
            env,
            noop_max=0,  # the game has begun with its own
            frame_skip=config.frame_skip,
            screen_size=(config.width, config.height),
            grayscale_obs=config.grayscale,
        )
        self._max_pool = config.max_pool
        self._tells_lives = config.episodic_life

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Play one environment step."""
        game: Any = self.unwrapped
        game.steps_since_seed += 1
        lives_before = self.lives
        observation, reward, terminated, truncated, info = super().step(action)
        self.lives = self.ale.lives()
        if self._tells_lives:
            is_over = terminated or truncated
            info = {**info, "life_lost": 0 < self.lives < lives_before and not is_over}
        return observation, float(reward), terminated, truncated, info

    def _get_obs(self) -> Array:
        if not self._max_pool:
            self.obs_buffer[1].fill(0)
        return super()._get_obs()
