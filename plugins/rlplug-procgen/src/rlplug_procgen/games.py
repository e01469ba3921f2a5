"""The sixteen games: what each is about, its modes, and the returns that score 0 and 1."""

from __future__ import annotations

from typing import NamedTuple


class Game(NamedTuple):
    """One game."""

    summary: str
    easy: tuple[float, float]
    """Returns that score 0 and 1 in easy mode."""
    hard: tuple[float, float]
    """The same in hard mode."""
    more_modes: tuple[str, ...] = ()
    """Distribution modes beside easy and hard."""


# Returns that score 0 and 1: Cobbe et al. 2020, arXiv:1912.01588, appendix C. The first is what an
# agent reaches that sees nothing; the second what is possible, or an estimate of it. (The scripts
# that plotted the paper have 1 and 1.5 for jumper and leaper in easy mode.)
GAMES = {
    "bigfish": Game("Eat smaller fish, avoid larger ones", (1, 40), (0, 40)),
    "bossfight": Game("Dodge a starship's fire and shoot it down", (0.5, 13), (0.5, 13)),
    "caveflyer": Game(
        "Fly through caves to a ship", (3.5, 12), (2, 13.4), ("memory", "exploration")
    ),
    "chaser": Game("Collect orbs in a maze while chased", (0.5, 13), (0.5, 14.2), ("extreme",)),
    "climber": Game("Climb platforms and collect stars", (2, 12.6), (1, 12.6), ("exploration",)),
    "coinrun": Game("Run and jump to a coin at the far end", (5, 10), (5, 10), ("exploration",)),
    "dodgeball": Game(
        "Hit all enemies with balls, then reach the door", (1.5, 19), (1.5, 19),
        ("extreme", "memory"),
    ),
    "fruitbot": Game("Collect fruit, avoid the rest, open gates", (-1.5, 32.4), (-0.5, 27.2)),
    "heist": Game(
        "Open locks in a maze with keys, steal the gem", (3.5, 10), (2, 10),
        ("memory", "exploration"),
    ),
    "jumper": Game(
        "Find the carrot in a cave with double jumps", (3, 10), (1, 10), ("memory", "exploration")
    ),
    "leaper": Game("Cross a road and a river", (3, 10), (1.5, 10), ("extreme", "exploration")),
    "maze": Game("Find the cheese in a maze", (5, 10), (4, 10), ("memory", "exploration")),
    "miner": Game("Dig for diamonds, avoid falling boulders", (1.5, 13), (1.5, 20), ("memory",)),
    "ninja": Game("Leap over ledges, throw stars at bombs", (3.5, 10), (2, 10), ("exploration",)),
    "plunder": Game("Sink enemy ships, spare the friendly ones", (4.5, 30), (3, 30)),
    "starpilot": Game(
        "Fly and shoot through waves of enemies", (2.5, 64), (1.5, 35), ("extreme",)
    ),
}  # fmt: skip
