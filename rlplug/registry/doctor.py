"""What is wrong with an installed plugin, found by importing it in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.errors import PluginError
from rlplug.registry import discovery
from rlplug.registry.entries import OWN, Distribution, incompatible, is_file, switched_off
from rlplug.registry.index import time_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.registry.entries import Entry

_START = (
    "import json, pathlib, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from rlplug.registry import examination as e; "
    "e.run(pathlib.Path(sys.argv[1]), float(sys.argv[2]))"
)


class Diagnosis(NamedTuple):
    """What the doctor says of one distribution."""

    distribution: str
    version: str
    faults: list[str]
    """What its user or author should mend."""
    remarks: list[str]
    """What is odd, and may be meant so."""
    tracebacks: list[str]
    """The plugin's own frames, for faults that have some."""
    spec_seconds: float
    """Importing what the entry points lead to."""
    seconds: float
    """Importing the rest of it, torch and Gymnasium being there."""


def examine(distribution: Distribution) -> Diagnosis:
    """Import a distribution in a child process, unless it is switched off or does not fit."""
    name, version = distribution.name, distribution.version
    nothing = Diagnosis(name, version, [], [], [], 0.0, 0.0)
    if reason := switched_off(name):
        return nothing._replace(remarks=[f"not examined: {reason}"])
    if reason := incompatible(distribution):
        return nothing._replace(faults=[f"{reason}. pip install --upgrade {name} {OWN}"])
    faults = [*_conflicts(distribution)]
    remarks = [distribution.problem] if distribution.problem else []
    remarks += clashes(distribution.entries)
    found = _in_child(distribution)
    return Diagnosis(
        name,
        version,
        faults + found["faults"],
        remarks + found["remarks"],
        [one for one in found["tracebacks"] if one],
        round(found["spec_seconds"], 3),
        round(found["seconds"], 3),
    )


def clashes(entries: tuple[Entry, ...]) -> Iterator[str]:
    """Names of a plugin that do not lead to it by themselves."""
    for entry in entries:
        full = discovery.full_name(entry)
        if entry.group in {"presets", "hooks"} or entry.distribution == OWN or full == entry.name:
            continue
        try:
            first = discovery.find(entry.group, entry.name)
            alone = f"is that of {first.provider}" if first else "is another"
        except PluginError:
            alone = "is offered by several plugins"
        yield f"{entry.group.removesuffix('s')} '{entry.name}' {alone}; ask for '{full}'"


def _conflicts(distribution: Distribution) -> Iterator[str]:
    """Requirements of an installed package that what is installed does not meet."""
    if is_file(distribution.name):
        return
    from packaging.requirements import InvalidRequirement, Requirement

    for text in metadata.requires(distribution.name) or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            yield f"its requirement {text!r} cannot be read"
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = f"it needs {requirement.name}{requirement.specifier}"
        try:
            there = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield f"{wanted}, which is not installed: pip install '{text}'"
            continue
        if not requirement.specifier.contains(there, prereleases=True):
            yield f"{wanted}; installed is {there}: pip install '{text}'"


def _in_child(distribution: Distribution) -> dict[str, Any]:
    """What the child says, and what happened to it if it did not come to its end."""
    with tempfile.TemporaryDirectory(prefix="rlplug-") as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps(distribution.entries), encoding="utf-8")
        status = _run_child(folder)
        report, hang = folder / "report.json", folder / "hang.txt"
        found: dict[str, Any] = {
            "faults": [], "remarks": [], "tracebacks": [], "spec_seconds": 0.0, "seconds": 0.0,
        }  # fmt: skip
        if report.exists():
            found |= json.loads(report.read_text(encoding="utf-8"))
        output = (folder / "output.txt").read_bytes()[-500:].decode(errors="replace").strip()
        if hang.exists() and hang.stat().st_size:
            found["faults"].append(
                f"it takes too long to import (RLPLUG_PLUGIN_TIMEOUT is {time_limit():g} s for its "
                "specs and twelve times that for all of it)"
            )
            found["tracebacks"].append(hang.read_text(encoding="utf-8"))
        elif status != 0:
            found["faults"].append(f"it ended the process that imported it, with status {status}")
        if output:
            found["remarks"].append(f"prints when imported: {output!r}")
    return found


def _run_child(folder: Path) -> int | None:
    """Run the examination in `folder`; its exit status, or None when it had to be ended."""
    limit = time_limit()
    command = [sys.executable, "-P", "-c", _START, str(folder), str(limit), json.dumps(sys.path)]
    with (folder / "output.txt").open("wb") as output:
        try:
            return subprocess.run(  # noqa: S603  our own code; the arguments are no shell's
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"RLPLUG_STRICT_PLUGINS": ""},
                timeout=20 * limit + 30,  # the child keeps its limits; this is for one that cannot
            ).returncode
        except subprocess.TimeoutExpired:
            return None
