"""Settings of an Atari game. No gymnasium here: help and completion read this module."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from rlplug.config import Count
from rlplug.envs.config import EnvConfig

PROTOCOLS: dict[str, dict[str, Any]] = {
    "mnih-2015": {
        "frame_skip": 4,
        "max_noop_frames": 30,
        "sticky_actions": 0.0,
        "full_action_space": False,
        "episodic_life": True,
        "fire_on_reset": False,
        "max_frames": 18_000,
    },
    "machado-2018": {
        "frame_skip": 5,
        "max_noop_frames": 0,
        "sticky_actions": 0.25,
        "full_action_space": True,
        "episodic_life": False,
        "fire_on_reset": False,
        "max_frames": 18_000,
    },
}
"""What a protocol sets: Mnih et al. 2015 (Nature 518, Methods and extended data table 1) and
Machado et al. 2018 (arXiv:1709.06009, section 4 and its table of parameters)."""


class AtariConfig(EnvConfig):
    """The `env` section of an Atari game.

    Rewards are never clipped here: what learning sees of them is `replay.reward.clip` or
    `agent.reward.clip`, which the presets set, and every score that is shown is the game's own.
    """

    bundles: ClassVar[dict[str, dict[str, dict[str, Any]]]] = {"protocol": PROTOCOLS}

    protocol: Literal["mnih-2015", "machado-2018"] | None = None
    """A published way to train and evaluate: it sets frame_skip, max_noop_frames, sticky_actions,
    full_action_space, episodic_life, fire_on_reset and max_frames over what a preset says, and
    leaves what is set beside it."""
    frame_skip: Annotated[Count, Field(gt=0)] = 4
    """Frames that each action is played for."""
    max_pool: bool = True
    """Show the brighter of the last two frames at each pixel: some games draw in every second."""
    grayscale: bool = True
    """Grey images `[stack, height, width]`; off, colours `[stack, height, width, 3]`."""
    height: Annotated[Count, Field(gt=0)] = 84
    """Pixels after scaling; the screen has 210."""
    width: Annotated[Count, Field(gt=0)] = 84
    """Pixels after scaling; the screen has 160."""
    frame_stack: Annotated[Count, Field(gt=0)] = 4
    """Images that an observation holds: the newest, and those of the steps before it."""
    max_noop_frames: Annotated[Count, Field(ge=0)] = 30
    """A game begins with a random number of idle frames, from none to this many."""
    fire_on_reset: bool = False
    """Press FIRE when a game begins, where the game has that action; it counts as idle frame."""
    episodic_life: bool = True
    """While training, a lost life is an end for learning; the game goes on, and its score is that
    of the whole game. Evaluation never does this."""
    sticky_actions: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability of each frame to repeat the last action in place of the chosen one."""
    full_action_space: bool = False
    """All 18 actions of the joystick; off, those that have an effect in the game."""
    max_frames: Annotated[Count, Field(gt=0)] = 108_000
    """Frames after which a game is truncated: 108,000 are half an hour of play."""
    noise_free_evaluation: bool = False
    """Evaluate without sticky actions and idle frames."""
    game_mode: Annotated[Count, Field(ge=0)] | None = None
    """A variant of the game that ale-py knows; None is the usual one. Plays in single games."""
    difficulty: Annotated[Count, Field(ge=0)] | None = None
    """The console's difficulty switch; None leaves it. Plays in single games."""
    threads: Annotated[Count, Field(gt=0)] | None = None
    """Threads of the native vector environment; None is one for each game, or for each core."""
    exact_resume: bool = True
    """Remember the actions of the last games, so that a resumed run can play them again and go on
    where it was. Off, a resumed run begins new games."""
