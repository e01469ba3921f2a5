"""The makers that the specs name: games side by side in C++, or one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rlplug.errors import ConfigError
from rlplug_atari.config import AtariConfig
from rlplug_atari.simulator import require

if TYPE_CHECKING:
    import gymnasium


def make_vector(
    num_envs: int,
    render_mode: str | None = None,
    *,
    game: str,
    evaluation: bool = False,
    max_episode_steps: int | None = None,
    **settings: Any,
) -> gymnasium.vector.VectorEnv[Any, Any, Any] | None:
    """`num_envs` games in ale-py's native vector environment.

    Args:
        num_envs: Games.
        render_mode: Gymnasium's; the native vector environment has none.
        game: The ROM's name.
        evaluation: Play whole games, and without noise where the settings say so.
        max_episode_steps: A time limit in environment steps, below that in frames.
        settings: Of `AtariConfig`.

    Returns:
        None where it cannot do what is asked for: draw, or play another mode or difficulty.
    """
    require()
    config = _settled(settings, evaluation, max_episode_steps)
    if render_mode is not None or config.game_mode is not None or config.difficulty is not None:
        return None
    from rlplug_atari.native import NativeGames

    return NativeGames(game, num_envs, config)


def make(
    render_mode: str | None = None,
    *,
    game: str,
    evaluation: bool = False,
    max_episode_steps: int | None = None,
    **settings: Any,
) -> gymnasium.Env[Any, Any]:
    """One game, with Gymnasium's preprocessing around it; arguments as of `make_vector`."""
    require()
    from rlplug_atari.single import single_game

    config = _settled(settings, evaluation, max_episode_steps)
    return single_game(game, config, render_mode)


def _settled(
    settings: dict[str, Any], evaluation: bool, max_episode_steps: int | None
) -> AtariConfig:
    """The settings as this environment plays by them."""
    try:
        config = AtariConfig(**settings)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )
        raise ConfigError(f"env.kwargs: {faults}; see rlplug info atari/pong.") from error
    changes: dict[str, Any] = {}
    if evaluation:
        changes["episodic_life"] = False
        if config.noise_free_evaluation:
            changes |= {"sticky_actions": 0.0, "max_noop_frames": 0}
    if max_episode_steps is not None:
        changes["max_frames"] = min(config.max_frames, max_episode_steps * config.frame_skip)
    return config.model_copy(update=changes)
