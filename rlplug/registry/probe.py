"""The index's child process: import one distribution's components and write down what they say.

It writes a line of JSON per entry as it goes, so that the parent knows how far it came if the
plugin's code hangs or ends the process. `faulthandler` ends it after the time limit, with the
traceback of the line that hangs.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from rlplug.registry import preset_files
from rlplug.registry.entries import Entry, Group
from rlplug.registry.index import Option
from rlplug.registry.loading import LoadFailure, Mishap, attempt, load_entry, locate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECTIONS: dict[Group, dict[str, str]] = {
    "trainers": {"config": "train", "replay_config": "replay"},
    "algorithms": {"config": "agent"},
    "environments": {"config": "env"},
    "networks": {"config": "agent.network.encoder.settings"},
}
"""Fields of specs that hold config classes, and the sections of a run that they type."""
HEAVY = ("torch", "gymnasium", "ray", "jax", "tensorflow")
"""What a spec module has no business importing."""


def run(folder: Path, limit: float) -> None:
    """Read `request.json`, write `report.jsonl` (and `hang.txt`), and end this process."""
    rows = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    with (
        (folder / "report.jsonl").open("w", encoding="utf-8") as report,
        (folder / "hang.txt").open("w", encoding="utf-8") as hang,
    ):
        faulthandler.dump_traceback_later(limit, exit=True, file=hang)
        for entry in (Entry(*row) for row in rows):
            print(json.dumps(examine(entry)), file=report, flush=True)
        faulthandler.cancel_dump_traceback_later()
    sys.stdout.flush()
    os._exit(0)  # a thread that the plugin started must not keep the parent waiting


def examine(entry: Entry) -> dict[str, Any]:
    """What one component says of itself, or why it cannot be used; imported in this process."""
    found = attempt(functools.partial(_describe, entry))
    if isinstance(found, Mishap):
        found = LoadFailure.of(entry, found)
    if isinstance(found, LoadFailure):
        found = {"failure": found}
    package = entry.value.partition(":")[0].partition(".")[0]
    modules = [m for name, m in sys.modules.items() if name.partition(".")[0] == package]
    files = [file for module in modules if (file := getattr(module, "__file__", None))]
    heavy = [name for name in HEAVY if name in sys.modules]
    return {"files": files, "heavy": heavy} | found


def _describe(entry: Entry) -> dict[str, Any] | LoadFailure:
    if entry.group == "presets":
        folder = preset_files.folder(entry)
        files = sorted(folder.glob("*.yaml"))
        presets = [preset for file in files for preset in preset_files.read(entry, file)]
        pairs = [[preset.algorithm, preset.environment, preset.name] for preset in presets]
        return {"spec": {"presets": pairs}, "files": [str(path) for path in (folder, *files)]}
    loaded = load_entry(entry)
    if isinstance(loaded, LoadFailure):
        return loaded
    if entry.group == "hooks":
        return {}
    spec: dict[str, Any] = loaded.model_dump(mode="json")
    options: list[Option] = []
    for field, section in _SECTIONS[entry.group].items():
        if spec.get(field):
            options += _options(spec[field], section, spec.get("defaults", {}).get(section, {}))
    return {"spec": spec, "options": options}


def _options(target: str, section: str, defaults: dict[str, Any]) -> Iterator[Option]:
    """Every setting of a config class, with the defaults that a spec puts over its own."""
    from rlplug.config import Config
    from rlplug.settings.fields import settings

    config = locate(target)
    if not (isinstance(config, type) and issubclass(config, Config)):
        msg = f"{target} is no subclass of rlplug.config.Config"
        raise TypeError(msg)
    if defaults:
        config.model_validate(defaults)
    for one in settings(config, f"{section}.", values=defaults):
        default = json.loads(json.dumps(one.default, default=str))
        shape, kind = one.shape, one.kind or ""
        yield Option(one.name, shape.expected, default, one.description, kind, list(shape.choices))
