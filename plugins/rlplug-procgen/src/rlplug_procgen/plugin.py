"""What rlplug lists: the family of sixteen games. Imports no simulator."""

from __future__ import annotations

from rlplug.errors import UnknownNameError
from rlplug.specs import EnvironmentFamily, EnvironmentSpec, ScoreRange
from rlplug_procgen.games import GAMES

PROCGEN = EnvironmentFamily(
    name="procgen",
    summary="Sixteen games with generated levels: 64 x 64 pixels, 15 actions",
    members=tuple(GAMES),
    resolve="rlplug_procgen.plugin:game_spec",
    aliases={f"procgen-{game}-v0": game for game in GAMES},
    config="rlplug_procgen.config:ProcgenConfig",
)


def game_spec(game: str) -> EnvironmentSpec:
    """The spec of one game.

    Raises:
        UnknownNameError: if there is no such game.
    """
    if game not in GAMES:
        msg = f"Unknown Procgen game {game!r}; there are: {', '.join(GAMES)}."
        raise UnknownNameError(msg)
    about = GAMES[game]
    return EnvironmentSpec(
        name=f"procgen/{game}",
        summary=about.summary,
        make="rlplug_procgen.environments:make",
        make_vector="rlplug_procgen.environments:make_vector",
        config="rlplug_procgen.config:ProcgenConfig",
        conformance="rlplug_procgen.conformance:GAME",
        kwargs={"game": game},
        evaluation_sets={"training-levels": {}, "all-levels": {"num_levels": 0, "start_level": 0}},
        score_ranges=tuple(
            ScoreRange(low=low, high=high, where={"distribution_mode": mode})
            for mode, (low, high) in (("easy", about.easy), ("hard", about.hard))
        ),
    )
