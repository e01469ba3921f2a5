"""What installed components say about themselves, without importing them here.

Each distribution is imported once per version, in a child process with a time limit, and what it
said is kept in the user's cache folder. A record holds as long as the version, the entry points
and every file that was read stay the same; a failure is kept too, and tried again when one of
these changes, something is installed beside it, or `refresh` asks for it. See
docs/decisions/0001-plugin-index.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import rlplug
from rlplug.errors import ConfigError
from rlplug.registry.entries import (
    OWN,
    Distribution,
    Entry,
    Group,
    distributions,
    incompatible,
    is_file,
    switched_off,
)
from rlplug.registry.loading import LoadFailure, Mishap, strict

EXAMINED: frozenset[Group] = frozenset(
    ("trainers", "algorithms", "environments", "presets", "networks", "hooks")
)
"""Groups whose entries are imported for the index; the others hold heavy code on purpose."""

_FORMAT = 1
_START = (
    "import json, pathlib, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from rlplug.registry import probe; probe.run(pathlib.Path(sys.argv[1]), float(sys.argv[2]))"
)
_FROM_OUTSIDE = {-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL}
"""How a child ends that someone stopped (Ctrl-C, too little memory): no fault to remember."""
_PATIENCE_WITH_OURSELVES = 12
"""On a machine that is busy enough, even what hangs nowhere takes longer than a plugin may."""
_memory: dict[Distribution, dict[str, Any]] = {}
_log = logging.getLogger(__name__)


class Option(NamedTuple):
    """One setting that a component brings."""

    name: str
    """Dotted: `agent.batch_size`."""
    expected: str
    """What it takes, in words."""
    default: Any
    description: str
    kind: str
    """The kind of slot that it belongs to; empty where it is always there."""
    choices: list[str]
    """Words that it takes, for completion."""


class EntryRecord(NamedTuple):
    """What is known of one component."""

    entry: Entry
    failure: LoadFailure | None
    spec: dict[str, Any]
    """The spec in JSON form; empty where there is none."""
    options: tuple[Option, ...]
    """The settings of its config classes."""


class DistributionRecord(NamedTuple):
    """What is known of one distribution."""

    distribution: Distribution
    state: str
    """`ok`, `failed` (some component is), `incompatible` or `disabled`."""
    entries: tuple[EntryRecord, ...]
    remarks: tuple[str, ...]
    """What is odd about it."""


def read(*, refresh: bool = False) -> list[DistributionRecord]:
    """The records of all distributions; those that are missing are made, some at a time."""
    found = list(distributions().values())
    stale = [one for one in found if (refresh or _known(one) is None) and _is_allowed(one)]
    if stale:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            list(pool.map(_examine, stale))
    records = [record(one) for one in found]
    failures = [entry.failure for one in records for entry in one.entries if entry.failure]
    if strict() and failures:
        raise failures[0].error()
    return records


def record(distribution: Distribution) -> DistributionRecord:
    """The record of one distribution, made if it is missing."""
    entries = distribution.entries
    if reason := switched_off(distribution.name):
        bare = tuple(EntryRecord(entry, None, {}, ()) for entry in entries)
        return DistributionRecord(distribution, "disabled", bare, (reason,))
    data = _known(distribution)
    if data is None and (reason := incompatible(distribution)):
        hint = f"pip install --upgrade {distribution.name} {OWN}"
        failures = [LoadFailure.of(entry, Mishap(reason), hint) for entry in entries]
        failed = tuple(EntryRecord(*pair, {}, ()) for pair in zip(entries, failures, strict=True))
        return DistributionRecord(distribution, "incompatible", failed, (reason,))
    return _record(distribution, data or _examine(distribution))


def _is_allowed(distribution: Distribution) -> bool:
    return not switched_off(distribution.name) and not incompatible(distribution)


def _record(distribution: Distribution, data: dict[str, Any]) -> DistributionRecord:
    rows = {(row["group"], row["name"]): row for row in data["rows"]}
    entries: list[EntryRecord] = []
    heavy: set[str] = set()
    for entry in distribution.entries:
        row = rows.get((entry.group, entry.name), {})
        failure = LoadFailure(*row["failure"]) if "failure" in row else None
        options = tuple(Option(*option) for option in row.get("options", ()))
        entries.append(EntryRecord(entry, failure, row.get("spec", {}), options))
        heavy |= set() if entry.group == "hooks" else set(row.get("heavy", ()))
    remarks = [distribution.problem] if distribution.problem else []
    if heavy:
        remarks.append(f"imports {', '.join(sorted(heavy))} with its specs, which makes it slow")
    if data.get("printed"):
        remarks.append(f"prints when imported: {data['printed']!r}")
    failed = any(one.failure for one in entries)
    state = "failed" if failed else "ok"
    return DistributionRecord(distribution, state, tuple(entries), tuple(remarks))


def _known(distribution: Distribution) -> dict[str, Any] | None:
    """What is in memory or in the cache folder, if it still holds; only of what is compatible."""
    if distribution in _memory or is_file(distribution.name):
        return _memory.get(distribution)
    try:
        data = json.loads(_cache_file(distribution).read_text(encoding="utf-8"))
        stamps = data["stamps"].items()
        holds = (
            data["key"] == _key(distribution)
            and all(_stamp(path) == stamp for path, stamp in stamps)
            and (data["gave_up_after"] is None or data["gave_up_after"] >= time_limit())
        )
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no home folder, no file, or a damaged one: all that is lost is time
    return _memory.setdefault(distribution, data) if holds else None


def _examine(distribution: Distribution) -> dict[str, Any]:
    """Import a distribution's components in a child process and keep what came of it."""
    if is_file(distribution.name):
        return _memory.setdefault(distribution, _examine_here(distribution))
    entries = [entry for entry in distribution.entries if entry.group in EXAMINED]
    with tempfile.TemporaryDirectory(prefix="rlplug-") as name:
        folder = Path(name)
        status = _run_child(entries, folder) if entries else 0
        rows = _rows(entries, folder, status)
        printed = _tail(folder / "output.txt") if entries else ""
        hung = status is None
    files = {file for row in rows for file in row.pop("files", ())}
    files |= {str(file) for entry in entries if (file := _entry_file(entry))}
    if not hung and any("failure" in row for row in rows):
        files.add(distribution.location)  # its time changes when something is installed there
    data = {
        "key": _key(distribution),
        "stamps": {file: _stamp(file) for file in sorted(files)},
        "rows": rows,
        "gave_up_after": time_limit() if hung else None,
        "printed": "" if status else printed,
    }
    _memory[distribution] = data
    if status not in _FROM_OUTSIDE:
        _store(distribution, data)
    return data


def _examine_here(distribution: Distribution) -> dict[str, Any]:
    """What a single file says of itself: this process has imported it already."""
    from rlplug.registry import probe

    rows = [
        {"group": entry.group, "name": entry.name, **probe.examine(entry), "heavy": []}
        for entry in distribution.entries
        if entry.group in EXAMINED
    ]
    return {"rows": rows, "printed": ""}


def _run_child(entries: list[Entry], folder: Path) -> int | None:
    """Run the probe in `folder`; its exit status, or None when it was out of time."""
    own = entries[0].distribution == OWN
    limit = time_limit() * (_PATIENCE_WITH_OURSELVES if own else 1)
    (folder / "request.json").write_text(json.dumps(entries), encoding="utf-8")
    command = [sys.executable, "-P", "-W", "ignore", "-c", _START]
    arguments = [str(folder), str(limit), json.dumps(sys.path)]
    with (folder / "output.txt").open("wb") as output:
        try:
            status = subprocess.run(  # noqa: S603  our own code; the arguments are no shell's
                [*command, *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"RLPLUG_STRICT_PLUGINS": ""},
                timeout=limit + 30,  # the child keeps the limit itself; this is for one that cannot
            ).returncode
        except subprocess.TimeoutExpired:
            return None
    hang = folder / "hang.txt"
    return None if hang.exists() and hang.stat().st_size else status


def _rows(entries: list[Entry], folder: Path, status: int | None) -> list[dict[str, Any]]:
    """What the child said of each entry, and what happened to those it never came to."""
    report = folder / "report.jsonl"
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    rows = [json.loads(line) for line in text.split("\n")[:-1]]  # the last is empty, or cut off
    hint = ""
    if status is None:
        hint = (
            f"If it is only slow, allow more: RLPLUG_PLUGIN_TIMEOUT={6 * time_limit():g}; "
            f"or switch it off: RLPLUG_DISABLE_PLUGINS={entries[0].distribution}"
        )
    left = entries[len(rows) :]
    for entry in left:
        if entry is not left[0]:
            mishap = Mishap(
                f"it was not reached: importing '{left[0].name}' of its plugin did not end"
            )
        elif status is None:
            mishap = Mishap(f"it takes more than {time_limit():g} s to import", _hang(folder))
        else:
            reason = f"it ended the process that imported it, with status {status}"
            mishap = Mishap(reason, _tail(folder / "output.txt"))
        failure = LoadFailure.of(entry, mishap, hint)
        rows.append({"failure": failure, "unfinished": True})
    for entry, row in zip(entries, rows, strict=True):
        row |= {"group": entry.group, "name": entry.name}
    return rows


def time_limit() -> float:
    """Seconds that importing one distribution's components may take.

    Raises:
        ConfigError: when `RLPLUG_PLUGIN_TIMEOUT` is no positive number.
    """
    text = os.environ.get("RLPLUG_PLUGIN_TIMEOUT", "10")
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        msg = f"RLPLUG_PLUGIN_TIMEOUT is {text!r}; expected a positive number of seconds"
        raise ConfigError(msg)
    return limit


def _hang(folder: Path) -> str:
    """The child's stack when time was up, innermost first, without the import system's frames."""
    ours = ("<frozen importlib", str(Path(__file__).parent), "importlib/__init__.py", "<string>")
    hang = folder / "hang.txt"
    lines = hang.read_text(encoding="utf-8").splitlines()[1:] if hang.exists() else []
    return "\n".join(line for line in lines if not any(name in line for name in ours))


def _tail(output: Path) -> str:
    return output.read_bytes()[-2000:].decode(errors="replace").strip()


def module_summary(entry: Entry) -> str:
    """First line of the docstring of an entry's module, which is read and not imported."""
    import ast

    file = _entry_file(entry)
    try:
        text = file.read_text(encoding="utf-8") if file else ""
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    except (OSError, ValueError, SyntaxError):
        return ""


def _entry_file(entry: Entry) -> Path | None:
    """The file of an entry's module, found without importing its package."""
    top, *rest = entry.value.partition(":")[0].split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not rest:
        return Path(spec.origin) if spec and spec.origin else None
    for folder in spec.submodule_search_locations or ():
        module = Path(folder, *rest)
        return module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return None


def _key(distribution: Distribution) -> list[Any]:
    """What a record depends on, beside the files that were read."""
    entries = [list(entry[2:]) for entry in distribution.entries]
    requires = list(distribution.requires)
    return [_FORMAT, rlplug.__version__, distribution.version, requires, entries]


def _stamp(path: str) -> list[int] | None:
    try:
        about = Path(path).stat()
    except OSError:
        return None
    return [about.st_mtime_ns, about.st_size]


def _cache_file(distribution: Distribution) -> Path:
    """One file per distribution and environment, so that an upgrade replaces it."""
    root = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    place = f"{sys.executable} {sys.version} {distribution.location}"
    digest = hashlib.sha256(place.encode()).hexdigest()[:12]
    return Path(root, "rlplug", "index", f"{distribution.name}-{digest}.json")


def _store(distribution: Distribution, data: dict[str, Any]) -> None:
    """Write atomically; a cache folder that cannot be written costs time and nothing else."""
    try:
        path = _cache_file(distribution)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(data), encoding="utf-8")
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        _log.debug("The plugin index of %s cannot be kept: %s", distribution.name, error)
