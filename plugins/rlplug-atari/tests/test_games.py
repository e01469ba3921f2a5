"""The list of games is ale-py's, and reading it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import pytest

from rlplug.registry import discovery
from rlplug_atari.games import GAMES, gymnasium_id, short_name
from rlplug_atari.plugin import ATARI, CONFIG, environment


def test_games_are_those_that_ale_py_registers():
    import ale_py  # noqa: F401 - registers them

    registered = {
        spec.kwargs["game"]: name for name, spec in gymnasium.registry.items() if "ALE/" in name
    }
    assert registered == {game: gymnasium_id(game) for game in GAMES}
    assert list(GAMES) == sorted(GAMES)


@pytest.mark.parametrize(
    ("name", "game"),
    [
        ("pong", "pong"),
        ("atari/pong", "pong"),
        ("ALE/Pong-v5", "pong"),
        ("space-invaders", "space_invaders"),
        ("atari/space_invaders", "space_invaders"),
        ("ALE/SpaceInvaders-v5", "space_invaders"),
        ("ALE/TicTacToe3D-v5", "tic_tac_toe_3d"),
        ("rlplug-atari:pong", "pong"),
    ],
)
def test_a_game_is_found_by_each_of_its_names(name, game):
    spec = discovery.resolve_environment(name)
    assert spec.name == f"atari/{short_name(game)}"
    assert spec.kwargs == {"game": game}
    assert spec.config == ATARI.config == CONFIG


def test_every_member_has_a_spec():
    assert len(ATARI.members) == len(GAMES) == 104
    assert [environment(member).name for member in ATARI.members] == [
        f"atari/{member}" for member in ATARI.members
    ]


def test_listing_games_imports_neither_simulator_nor_gymnasium():
    code = (
        "import sys; from rlplug.cli.main import run; sys.argv = "
        "['rlplug', 'list', 'environments', 'atari']\n"
        "try: run()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'ale_py', 'gymnasium', 'cv2', 'torch'} & sys.modules.keys()"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert listed.count("atari/") == 104
    assert "cartpole" not in listed
