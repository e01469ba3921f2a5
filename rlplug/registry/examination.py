"""The doctor's child process: import one distribution and note what that does to the process.

First its entry points, which should cost nothing; then, torch and Gymnasium being there, what its
specs lead to. What came of it is written to `report.json` as it goes, so that the parent knows how
far it came.
"""

from __future__ import annotations

import faulthandler
import functools
import importlib
import json
import logging
import os
import random
import re
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rlplug
from rlplug.registry.entries import Entry
from rlplug.registry.hooks import Hooks
from rlplug.registry.hookspecs import DoctorCalled
from rlplug.registry.loading import LoadFailure, Mishap, attempt, load_entry, locate
from rlplug.registry.probe import HEAVY

if TYPE_CHECKING:
    from collections.abc import Iterator

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""Import strings among the fields of a spec."""
_SEEDED_BY_HAND = 2**32
"""Below it: torch draws 64 bits for itself when it is imported."""
_LONGER = 12
"""What heavy parts may take, in limits of a spec module."""


class Report:
    """What is known so far, on disk after every change."""

    def __init__(self, file: Path) -> None:
        self.content: dict[str, Any] = {
            "faults": [], "remarks": [], "tracebacks": [], "spec_seconds": 0.0, "seconds": 0.0,
        }  # fmt: skip
        self._file = file

    def add(self, kind: str, *texts: str) -> None:
        """Add faults or remarks, and write all of it down."""
        self.content[kind] += texts
        self._file.write_text(json.dumps(self.content), encoding="utf-8")


def run(folder: Path, limit: float) -> None:
    """Read `request.json`, write `report.json` (and `hang.txt`), and end this process."""
    rows = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    report = Report(folder / "report.json")
    with (folder / "hang.txt").open("w", encoding="utf-8") as hang:
        faulthandler.dump_traceback_later(limit, exit=True, file=hang)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaded = _load_entries([Entry(*row) for row in rows], report)
            faulthandler.dump_traceback_later(_LONGER * limit, exit=True, file=hang)
            _load_targets(loaded, report, caught)
            _call_doctors(loaded, report)
        said = {f"{one.category.__name__}: {one.message}" for one in caught}
        report.add("remarks", *(f"warns when imported: {one}" for one in sorted(said)))
        faulthandler.cancel_dump_traceback_later()
    sys.stdout.flush()
    os._exit(0)  # a thread that the plugin started must not keep the parent waiting


def _load_entries(entries: list[Entry], report: Report) -> list[tuple[Entry, Any]]:
    """Import what the entry points lead to, and see what that costs."""
    before, begin = _global_state(), time.perf_counter()
    loaded = []
    for entry in entries:
        if entry.group == "presets":
            continue
        what = f"{entry.group.removesuffix('s')} '{entry.name}'"
        found = attempt(functools.partial(load_entry, entry))
        if isinstance(found, Mishap):
            found = LoadFailure.of(entry, found)
        if isinstance(found, LoadFailure):
            report.add("tracebacks", found.traceback)
            report.add("faults", f"{what}: {found.reason}. {found.hint}")
        else:
            loaded.append((entry, found))
        if entry.group not in {"trackers", "commands", "hooks"}:
            heavy = [name for name in HEAVY if name in sys.modules]
            text = f"imports {', '.join(heavy)} with its specs, which makes every list slow"
            if heavy and text not in report.content["remarks"]:
                report.add("remarks", text)
    report.content["spec_seconds"] = time.perf_counter() - begin
    report.add("faults", *_changes(before, _global_state()), *_changes_of_torch())
    return loaded


def _load_targets(
    loaded: list[tuple[Entry, Any]], report: Report, caught: list[warnings.WarningMessage]
) -> None:
    """Import what the specs name, after what everybody imports, which is not to be blamed."""
    targets = {one: entry for entry, spec in loaded for one in _targets(spec)}
    own_warnings = len(caught)
    if targets:
        for name in ("torch", "gymnasium"):
            attempt(functools.partial(importlib.import_module, name))
    del caught[own_warnings:]
    before, begin = _global_state(), time.perf_counter()
    for target, entry in targets.items():
        mishap = attempt(functools.partial(locate, target))
        if isinstance(mishap, Mishap):
            failure = LoadFailure.of(entry, mishap)
            report.add("tracebacks", failure.traceback)
            report.add("faults", f"{target}: {failure.reason}. {failure.hint}")
    report.content["seconds"] = time.perf_counter() - begin
    seen = set(report.content["faults"])
    changes = dict.fromkeys([*_changes(before, _global_state()), *_changes_of_torch()])
    report.add("faults", *(one for one in changes if one not in seen))


def _targets(spec: Any) -> Iterator[str]:
    """The import strings of a spec."""
    for name in getattr(type(spec), "model_fields", ()):
        value = getattr(spec, name)
        if name != "gymnasium_id" and isinstance(value, str) and _TARGET.fullmatch(value):
            yield value


def _call_doctors(loaded: list[tuple[Entry, Any]], report: Report) -> None:
    """Ask the plugin itself, where it has a `rlplug_doctor`."""
    hooks = Hooks()
    for entry, plugin in loaded:
        if entry.group == "hooks":
            mishap = attempt(functools.partial(hooks.add, entry.name, plugin))
            if isinstance(mishap, Mishap):
                report.add("faults", f"hook '{entry.name}': {mishap.reason}")
    report.add("faults", *hooks.doctor(DoctorCalled(rlplug.__version__)))


def _global_state() -> dict[str, Any]:
    """What belongs to the whole process, by its name."""
    import numpy as np

    generator: Any = np.random.get_state()  # noqa: NPY002  the global one is what is watched
    root = logging.getLogger()
    torch = sys.modules.get("torch")
    return {
        "environment variables": dict(os.environ),
        "signal handlers": {one: signal.getsignal(one) for one in signal.valid_signals()},
        "the working directory": str(Path.cwd()),
        "Python's random generator": random.getstate(),
        "numpy's random generator": (generator[1].tobytes(), *generator[2:]),
        "torch's random generator": torch.get_rng_state().tolist() if torch else None,
        "numpy's handling of errors": np.geterr(),
        "numpy's printing": {k: str(v) for k, v in np.get_printoptions().items()},
        "sys.path": list(sys.path),
        "the filters of warnings": list(warnings.filters),
        "the root logger": (root.level, list(root.handlers)),
        "the recursion limit": sys.getrecursionlimit(),
        "sys.excepthook": sys.excepthook,
        "threads": sorted(one.name for one in threading.enumerate()),
    }


def _changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name, value in before.items():
        new = after[name]
        if new == value or value is None:
            continue
        detail = ""
        if name == "environment variables":
            changed = sorted(k for k in {*value, *new} if value.get(k) != new.get(k))
            detail = f" ({', '.join(changed)})"
        elif name == "signal handlers":
            detail = f" ({', '.join(signal.Signals(k).name for k in new if new[k] != value[k])})"
        elif name == "threads":
            detail = f" ({', '.join(sorted(set(new) - set(value)))})"
        yield f"changes {name} when imported{detail}"


def _changes_of_torch() -> Iterator[str]:
    """What differs from a torch that was only imported."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_dtype"):
        return
    as_imported = {
        "torch's default dtype": torch.get_default_dtype() == torch.float32,
        "torch's random generator": torch.initial_seed() >= _SEEDED_BY_HAND,
        "torch's recording of gradients": torch.is_grad_enabled(),
        "torch's deterministic mode": not torch.are_deterministic_algorithms_enabled(),
        "torch's default device": torch.get_default_device().type == "cpu",
    }
    yield from (f"changes {name} when imported" for name, same in as_imported.items() if not same)
