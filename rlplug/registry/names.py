"""What to say about a name that nothing installed provides."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rlplug.registry.entries import distributions, switched_off

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rlplug.registry.entries import Group

_PACKAGES = {
    "rlplug-atari": (
        "atari/* ale/* *noframeskip-v* *deterministic-v* alien amidar assault asterix asteroids "
        "battle-zone beam-rider bowling boxing breakout chopper-command crazy-climber enduro "
        "freeway frostbite gopher gravitar kangaroo krull montezuma-revenge ms-pacman pitfall pong "
        "private-eye qbert riverraid road-runner seaquest solaris space-invaders tennis venture "
        "zaxxon"
    ),
    "rlplug-mujoco": (
        "mujoco/* ant halfcheetah half-cheetah hopper humanoid humanoid-standup inverted-pendulum "
        "inverted-double-pendulum pusher reacher swimmer walker2d"
    ),
    "rlplug-procgen": (
        "procgen/* bigfish bossfight caveflyer chaser climber coinrun dodgeball fruitbot heist "
        "jumper leaper maze miner ninja plunder starpilot"
    ),
}
"""Names, in lower case, of packages that need not be installed."""


def suggest(name: str, candidates: Iterable[str]) -> list[str]:
    """Up to three of `candidates` that look like `name`, nearest first."""
    by_form = {_form(candidate): candidate for candidate in candidates}
    return [by_form[form] for form in difflib.get_close_matches(_form(name), by_form, cutoff=0.6)]


def package_for(name: str) -> str:
    """The package that would provide an environment, as far as is known; else empty."""
    for package, patterns in _PACKAGES.items():
        if any(fnmatchcase(name.lower(), pattern) for pattern in patterns.split()):
            return package
    return ""


def unknown_name_message(groups: Group | tuple[Group, ...], name: str, known: Iterable[str]) -> str:
    """Say that nothing provides `name`, and what to do: a near name, a package, a switch.

    Args:
        groups: Where the name was looked for.
        name: As the user gave it.
        known: Names that would have been found.
    """
    groups = (groups,) if isinstance(groups, str) else groups
    known = list(known)
    near = [f"'{candidate}'" for candidate in suggest(name, known)]
    package = package_for(name) if "environments" in groups else ""
    parts = [f"Unknown {' or '.join(group.removesuffix('s') for group in groups)} '{name}'."]
    if off := _switched_off_provider(groups, name):
        parts.append(off)
    elif package:
        parts.append(f"The package {package} provides it: pip install {package}.")
    elif near:
        parts.append(f"Did you mean {' or '.join(near)}?")
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    parts.append(f"Known: {shown or 'none'} (all of them: rlplug list)")
    return " ".join(parts)


def _switched_off_provider(groups: tuple[Group, ...], name: str) -> str:
    bare = name.rpartition(":")[2]
    for distribution in distributions().values():
        reason = switched_off(distribution.name)
        offers = {one.name for one in distribution.entries if one.group in groups}
        if reason and bare in offers:
            return f"{distribution.name} provides it, but is switched off: {reason}."
    return ""


def _form(name: str) -> str:
    return name.lower().replace("_", "-")
