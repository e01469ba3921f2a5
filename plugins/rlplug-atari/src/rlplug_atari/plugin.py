"""What this package registers: a family of games. Imports neither gymnasium nor ale-py."""

from __future__ import annotations

from rlplug.specs import EnvironmentFamily, EnvironmentSpec
from rlplug_atari.games import GAMES, gymnasium_id, short_name

CONFIG = "rlplug_atari.config:AtariConfig"

_GAME_OF = {short_name(game): game for game in GAMES}
_OTHER_NAMES = {gymnasium_id(game): name for name, game in _GAME_OF.items()}
_OTHER_NAMES |= {game: name for name, game in _GAME_OF.items() if game != name}

ATARI = EnvironmentFamily(
    name="atari",
    summary="An Atari 2600 game, as ale-py emulates it",
    members=tuple(_GAME_OF),
    resolve="rlplug_atari.plugin:environment",
    aliases=_OTHER_NAMES,
    config=CONFIG,
)


def environment(member: str) -> EnvironmentSpec:
    """The spec of one game, by its short name."""
    game = _GAME_OF[member]
    return EnvironmentSpec(
        name=f"atari/{member}",
        summary=f"The Atari 2600 game {game.replace('_', ' ').title()}",
        make="rlplug_atari.make:make",
        make_vector="rlplug_atari.make:make_vector",
        kwargs={"game": game},
        config=CONFIG,
        aliases=(gymnasium_id(game),),
        evaluation_kwargs={"evaluation": True},
    )
