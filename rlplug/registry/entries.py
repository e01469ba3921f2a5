"""What the installed packages offer, read from their metadata; nothing of theirs is imported.

All groups of all packages are read in one pass. Three switches decide which packages count:
`RLPLUG_PLUGINS` (a comma-separated allow list; empty leaves rlplug alone),
`RLPLUG_DISABLE_PLUGINS` (a deny list) and the API range, which is the package's own requirement on
rlplug (`Requires-Dist: rlplug>=0.1,<0.2`). rlplug itself is always on.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import rlplug

if TYPE_CHECKING:
    from collections.abc import Iterator

Group = Literal[
    "trainers",
    "algorithms",
    "environments",
    "presets",
    "networks",
    "trackers",
    "commands",
    "hooks",
]
"""Entry-point groups, without their prefix `rlplug.`."""
GROUPS: tuple[Group, ...] = get_args(Group)
OWN = "rlplug"
"""The distribution whose components are the built-in ones."""

_ABOUT_RLPLUG = re.compile(r"rlplug(?![\w.-]*\w)", re.IGNORECASE)


_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One component that a distribution offers."""

    distribution: str
    version: str
    group: Group
    name: str
    value: str
    """`package.module:Object`, or a package for presets."""

    @property
    def provider(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}"


class Distribution(NamedTuple):
    """One installed package, or one file given by `--plugin`."""

    name: str
    version: str
    location: str
    """Folder it is installed in."""
    requires: tuple[str, ...]
    """Its requirements on rlplug."""
    entries: tuple[Entry, ...]
    problem: str = ""
    """What is wrong with its metadata, if anything."""

    @property
    def packages(self) -> frozenset[str]:
        """Top-level packages and modules that its entry points lead to."""
        return frozenset(re.split(r"[.:]", entry.value, maxsplit=1)[0] for entry in self.entries)


_files: dict[str, Distribution] = {}
_of_project: set[str] = set()
"""Files that the project's pyproject.toml names, so that no command line has to."""


def normalise(distribution: str) -> str:
    """The form in which distribution names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@functools.cache
def installed() -> dict[str, Distribution]:
    """Every installed distribution with rlplug entry points, by normalised name."""
    found: dict[str, Distribution] = {}
    for metadata in importlib.metadata.distributions():
        text = metadata.read_text("entry_points.txt")
        if text and "[rlplug." in text and (distribution := _read(metadata)):
            found.setdefault(normalise(distribution.name), distribution)  # as import: first wins
    return dict(sorted(found.items(), key=lambda item: (item[0] != OWN, item[0])))


def add_file(distribution: Distribution) -> None:
    """Count a single file as a distribution for the rest of this process."""
    _files[normalise(distribution.name)] = distribution


def mark_as_projects(file: str) -> None:
    """Note that a file that was added need not be given again."""
    _of_project.add(normalise(file))


def files() -> tuple[Path, ...]:
    """The single files that count as distributions; a process elsewhere needs them too."""
    return tuple(Path(one.location, one.name) for one in _files.values())


def plugin_options() -> str:
    """What a command line needs to find the files that this one was given: ` --plugin ./foo.py`."""
    given = [one for name, one in _files.items() if name not in _of_project]
    return "".join(f" --plugin {_as_typed(Path(one.location, one.name))}" for one in given)


def _as_typed(path: Path) -> str:
    relative = os.path.relpath(path)
    return shlex.quote(str(path) if relative.startswith("..") else relative)


def is_file(distribution: str) -> bool:
    """Whether a distribution is a single file."""
    return normalise(distribution) in _files


def distributions() -> dict[str, Distribution]:
    """What is installed and what was given as a file, switched off or not."""
    return installed() | _files


def entries(group: Group) -> Iterator[Entry]:
    """Every component of a group whose distribution is not switched off."""
    for distribution in distributions().values():
        if not switched_off(distribution.name):
            yield from (entry for entry in distribution.entries if entry.group == group)


def no_plugins() -> None:
    """Leave only rlplug's own components, here and in processes started from here."""
    os.environ["RLPLUG_PLUGINS"] = ""


def switched_off(distribution: str) -> str:
    """Which switch keeps this distribution out; empty when none does."""
    name = normalise(distribution)
    allowed = os.environ.get("RLPLUG_PLUGINS")
    if name == OWN or is_file(name):
        return ""
    if name in _listed(os.environ.get("RLPLUG_DISABLE_PLUGINS", "")):
        return "named in RLPLUG_DISABLE_PLUGINS"
    if allowed is not None and name not in _listed(allowed):
        return "not named in RLPLUG_PLUGINS"
    return ""


@functools.cache
def incompatible(distribution: Distribution) -> str:
    """Why a distribution does not go with this version of rlplug; empty when it does."""
    if distribution.name == OWN or not distribution.requires:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in distribution.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return f"it states its range of rlplug as {text!r}, which cannot be read"
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and not requirement.specifier.contains(rlplug.__version__, prereleases=True):
            return f"it needs rlplug{requirement.specifier}; this is rlplug {rlplug.__version__}"
    return ""


def _listed(names: str) -> set[str]:
    return {normalise(name.strip()) for name in names.split(",") if name.strip()}


def _read(metadata: importlib.metadata.Distribution) -> Distribution | None:
    """What a distribution's metadata says; None where it is damaged, as by a broken upgrade."""
    try:
        header, points = metadata.metadata, list(metadata.entry_points)
        name, version = header["Name"], header["Version"]
        lines = header.get_all("Requires-Dist") or ()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        name = version = ""
        _log.debug("Unreadable metadata: %s", error)
    if not name or not version:
        _log.warning("The metadata in %s is damaged; install its package again", metadata)
        return None
    entries, unknown = [], set()
    for point in points:
        group = point.group.removeprefix("rlplug.")
        if group in GROUPS and group != point.group:
            entries.append(Entry(name, version, group, point.name, point.value))
        elif group != point.group:
            unknown.add(point.group)
    groups = ", ".join(sorted(unknown))
    return Distribution(
        name=name,
        version=version,
        location=str(metadata.locate_file("")),
        requires=tuple(line for line in lines if _ABOUT_RLPLUG.match(line)),
        entries=tuple(sorted(entries, key=lambda entry: (GROUPS.index(entry.group), entry.name))),
        problem=f"rlplug has no entry-point group {groups}" if groups else "",
    )
