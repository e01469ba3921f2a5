"""Writes the files of a new plugin package from templates."""

from __future__ import annotations

import importlib.resources
import importlib.util
import keyword
import re
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Literal, NamedTuple

import rlplug
from rlplug.errors import ConfigError
from rlplug.registry import discovery
from rlplug.registry.entries import distributions, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

Kind = Literal["algorithm", "environment"]
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_COMPONENT = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")
_LONGEST = 24
"""Letters of a name with which no line of a template grows too long."""


class Names(NamedTuple):
    """What one component is called in each place."""

    package: str
    """The distribution: `rlplug-foo`."""
    module: str
    """What one imports: `rlplug_foo`."""
    name: str
    """The component: `cross-entropy`."""
    kind: Kind

    @property
    def substitutes(self) -> dict[str, str]:
        """By the placeholders of the templates."""
        major, minor = rlplug.__version__.split(".")[:2]
        words = re.split(r"[._-]", self.name)
        return {
            "package": self.package,
            "module": self.module,
            "name": self.name,
            "Class": "".join(word.capitalize() for word in words),
            "CONSTANT": "_".join(words).upper(),
            "rlplug_range": f">={major}.{minor},<{major}.{int(minor) + 1}",
        }


def names_for(package: str, name: str, kind: Kind) -> Names:
    """Check what a new package is to be called.

    Raises:
        ConfigError: when a name cannot be used or is taken.
    """
    if not _PACKAGE.fullmatch(package) or len(package) > _LONGEST:
        msg = f"{package!r} is no name for a package; use at most {_LONGEST} letters, digits and"
        raise ConfigError(f"{msg} dashes: rlplug-foo.")
    if not _COMPONENT.fullmatch(name) or len(name) > _LONGEST:
        msg = (
            f"{name!r} is no name for an {kind}; use at most {_LONGEST} lower-case letters and "
            "digits, a letter first, joined by dashes: cross-entropy."
        )
        raise ConfigError(msg)
    module = normalise(package).replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module):
        msg = f"The package {package!r} would be imported as {module!r}, which is no identifier."
        raise ConfigError(f"{msg} Begin its name with a letter: rlplug-{package}.")
    if normalise(package) in distributions() or importlib.util.find_spec(module):
        msg = f"A package {package!r} (imported as {module!r}) is installed already; take another"
        raise ConfigError(f"{msg} name.")
    if taken := discovery.provider("algorithms" if kind == "algorithm" else "environments", name):
        msg = f"The {kind} {name!r} is that of {taken.distribution} {taken.version}; take another"
        raise ConfigError(f"{msg} name, so that nobody has to say whose is meant.")
    return Names(package, module, name, kind)


def write_package(folder: Path, names: Names) -> list[Path]:
    """Write a package into a folder that does not exist yet; the paths, relative to it.

    Raises:
        ConfigError: when there is something already.
    """
    if folder.exists():
        msg = f"{folder} exists already; choose another name, or --directory for another place."
        raise ConfigError(msg)
    written = []
    for path, text in _files(names):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _files(names: Names) -> Iterator[tuple[Path, str]]:
    root = importlib.resources.files("rlplug.cli") / "templates" / names.kind
    for path, template in _templates(root, Path()):
        parts = [part.replace("module", names.module) for part in path.parts]
        yield Path(*parts), Template(template).substitute(names.substitutes)
    yield Path("src", names.module, "py.typed"), ""


def _templates(folder: Traversable, below: Path) -> Iterator[tuple[Path, str]]:
    for item in sorted(folder.iterdir(), key=lambda one: one.name):
        if item.is_dir():
            yield from _templates(item, below / item.name)
        elif item.name.endswith(".tmpl"):
            path = below / item.name.removesuffix(".tmpl")
            yield path, item.read_text(encoding="utf-8")
