"""Which plugins a project runs with: written to a file, and held against what is installed.

A lock keeps the version of rlplug and, for each plugin that is not switched off, its version and a
digest of its entry points and sources, so that an edited file counts as another plugin.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rlplug
from rlplug.errors import ConfigError, PluginError
from rlplug.registry.entries import OWN, Distribution, distributions, is_file, switched_off

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_FILE = "rlplug-lock.json"
_SOURCES = {".py", ".yaml", ".json", ".toml"}


def current() -> dict[str, Any]:
    """What a lock written now would hold."""
    return {
        "rlplug": rlplug.__version__,
        "plugins": {
            one.name: {"version": one.version, "digest": _digest(one)}
            for one in distributions().values()
            if one.name != OWN and not switched_off(one.name)
        },
    }


def write(file: Path) -> dict[str, Any]:
    """Lock what is there now; what was written."""
    content = current()
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return content


def find(folder: Path | None = None) -> Path:
    """The nearest lock, at or above a folder (or the working directory).

    Raises:
        ConfigError: if there is none.
    """
    start = folder or Path.cwd()
    for one in (start, *start.parents):
        if (one / LOCK_FILE).is_file():
            return one / LOCK_FILE
    msg = f"--locked: there is no {LOCK_FILE} in {start} or above. Write one: rlplug plugins lock"
    raise ConfigError(msg)


def require(file: Path) -> None:
    """Hold a lock against what is installed.

    Raises:
        ConfigError: if the file is no lock.
        PluginError: naming all that differs.
    """
    try:
        locked = json.loads(file.read_text(encoding="utf-8"))
        drift = list(_differences(locked, current()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{file} is no lock ({type(error).__name__}: {error}). Write it: rlplug plugins lock"
        raise ConfigError(msg) from error
    if drift:
        msg = (
            f"{file} does not match what is installed: {'; '.join(drift)}. Install what it names, "
            "or accept what there is: rlplug plugins lock"
        )
        raise PluginError(msg)


def _differences(locked: dict[str, Any], there: dict[str, Any]) -> Iterator[str]:
    if locked["rlplug"] != there["rlplug"]:
        yield f"rlplug is {there['rlplug']}, locked is {locked['rlplug']}"
    before, now = locked["plugins"], there["plugins"]
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"{name} {before[name]['version']} is locked, but not there or switched off"
        elif name not in before:
            yield f"{name} {now[name]['version']} is there, but not locked"
        elif before[name]["version"] != now[name]["version"]:
            yield f"{name} is {now[name]['version']}, locked is {before[name]['version']}"
        elif before[name]["digest"] != now[name]["digest"]:
            yield f"{name} {now[name]['version']} has other files than when it was locked"


def _digest(distribution: Distribution) -> str:
    """Of its entry points and of the files of its packages."""
    digest = hashlib.sha256(json.dumps([one[2:] for one in distribution.entries]).encode())
    for name, file in sorted(_sources(distribution)):
        digest.update(name.encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _sources(distribution: Distribution) -> Iterator[tuple[str, Path]]:
    """Name within the distribution, and path, of every file that is its code or its presets."""
    if is_file(distribution.name):
        yield distribution.name, Path(distribution.location, distribution.name)
        return
    for package in distribution.packages:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            continue  # listed all the same, by its version and entry points
        for folder in (spec and spec.submodule_search_locations) or ():
            files = (one for one in Path(folder).rglob("*") if one.suffix in _SOURCES)
            yield from ((f"{package}/{one.relative_to(folder)}", one) for one in files)
        if spec and spec.origin and not spec.submodule_search_locations:
            yield package, Path(spec.origin)
