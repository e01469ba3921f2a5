"""Names, options and scores, as rlplug sees them without the simulator."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rlplug.errors import UnknownNameError
from rlplug.registry import discovery
from rlplug.resolve import resolve
from rlplug_procgen.config import ProcgenConfig

GAMES = [
    "bigfish", "bossfight", "caveflyer", "chaser", "climber", "coinrun", "dodgeball", "fruitbot",
    "heist", "jumper", "leaper", "maze", "miner", "ninja", "plunder", "starpilot",
]  # fmt: skip


def test_all_sixteen_games_are_listed_as_a_family() -> None:
    found = [name for name in discovery.names("environments") if name.startswith("procgen/")]
    assert found == [f"procgen/{game}" for game in GAMES]


@pytest.mark.parametrize("game", GAMES)
def test_a_game_has_a_short_name(game: str) -> None:
    short, full = (
        discovery.resolve_environment(game),
        discovery.resolve_environment(f"procgen/{game}"),
    )
    assert short is not None
    assert short == full
    assert short == discovery.resolve_environment(f"procgen-{game}-v0")  # as the old gym knew it
    assert (short.name, short.kwargs) == (f"procgen/{game}", {"game": game})


def test_listing_and_resolving_import_no_simulator() -> None:
    code = (
        "import json, sys; from rlplug.registry import discovery; discovery.names('environments'); "
        "discovery.resolve_environment('coinrun'); import rlplug_procgen.config; "
        "heavy = {'procgen', 'gym3', 'gym', 'gymnasium', 'torch', 'cffi'}; "
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == []


def test_an_unknown_game_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="procgen/coinrun"):
        discovery.resolve_environment("procgen/coinrum")


def test_the_default_is_the_generalisation_protocol_of_the_paper() -> None:
    assert ProcgenConfig().distribution_mode == "easy"
    levels = [
        ProcgenConfig(distribution_mode=mode).levels
        for mode in ("easy", "hard", "extreme", "memory", "exploration")
    ]
    assert levels == [200, 500, 0, 0, 0]
    assert ProcgenConfig(num_levels=0).levels == 0
    assert ProcgenConfig(num_levels=7, distribution_mode="hard").levels == 7


def test_evaluation_knows_the_training_levels_and_all_levels() -> None:
    spec = discovery.resolve_environment("coinrun")
    assert spec is not None
    assert spec.set_names == ("training-levels", "all-levels")


def test_scores_are_normalised_by_the_papers_table() -> None:
    def ends(game: str, mode: str) -> tuple[float, float] | None:
        spec = discovery.resolve_environment(game)
        assert spec is not None
        found = spec.score_range(ProcgenConfig(distribution_mode=mode).model_dump())
        return found and (found.low, found.high)

    assert ends("starpilot", "easy") == (2.5, 64)
    assert ends("starpilot", "hard") == (1.5, 35)
    assert ends("fruitbot", "easy") == (-1.5, 32.4)
    assert ends("bigfish", "hard") == (0, 40)
    assert ends("starpilot", "extreme") is None
    # the sum over the table, by hand: no entry is mistyped
    easy, hard = ([ends(game, mode) for game in GAMES] for mode in ("easy", "hard"))
    assert sum(low for low, _ in easy) == pytest.approx(39)
    assert sum(high for _, high in easy) == pytest.approx(309)
    assert sum(low for low, _ in hard) == pytest.approx(26.5)
    assert sum(high for _, high in hard) == pytest.approx(284.4)


def test_options_are_settings_of_the_env_section() -> None:
    text = [("env.num_levels", "50"), ("env.distribution_mode", "hard")]
    config = resolve("ppo", "coinrun", overrides=text).config.env
    assert isinstance(config, ProcgenConfig)
    assert (config.levels, config.distribution_mode) == (50, "hard")
