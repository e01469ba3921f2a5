"""`rlplug inspect RUN[:CHECKPOINT]`: what it holds, read as text; nothing of it is run."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlplug.checkpoint import (
    checkpoints,
    component_arrays,
    read_manifest,
    verify_checkpoint,
)
from rlplug.cli import options
from rlplug.cli.completion import complete_run
from rlplug.cli.outcome import describe_return, print_lines
from rlplug.cli.runs import find_run, find_source
from rlplug.cli.tables import show_table
from rlplug.errors import CheckpointError
from rlplug.run_folder import RunFolder

if TYPE_CHECKING:
    from rlplug.checkpoint import CheckpointInfo

What = Annotated[
    str,
    typer.Argument(
        metavar="RUN[:CHECKPOINT]",
        help="Folder of a run or of one of its checkpoints, or RUN:best; 'last' is the newest run "
        "below runs/.",
        autocompletion=complete_run,
    ),
]


def command(what: What, *, as_json: options.AsJson = False) -> None:
    """Show what a run or a checkpoint holds; a damaged checkpoint is an error.

    Nothing of it is run, and no plugin is needed.
    """
    path = _find(what)
    if (path / "manifest.json").is_file():
        report = about_checkpoint(path)
        print(json.dumps(report, indent=2)) if as_json else _show_checkpoint(report)
    else:
        report = about_run(RunFolder.open(path))
        print(json.dumps(report, indent=2)) if as_json else _show_run(report)


def _find(what: str) -> Path:
    """A folder as it is, or the checkpoint that `RUN:CHECKPOINT` names."""
    source = find_source(what, Path("runs"))
    if source is None or ":" not in source or Path(source).exists():
        return find_run(what)
    from rlplug.train.initial import InitialWeights

    return InitialWeights.of(source).checkpoint


def about_checkpoint(path: Path) -> dict[str, Any]:
    """Everything that a checkpoint says of itself, its digests checked.

    Raises:
        CheckpointError: naming the file that is missing, damaged or of another schema version.
    """
    manifest = read_manifest(path)
    verify_checkpoint(path)
    components = {}
    for name, entry in manifest.components.items():
        arrays = component_arrays(path, name)
        components[name] = {
            **entry.model_dump(),
            "numbers": sum(math.prod(one["shape"]) for one in arrays.values()),
            "arrays": arrays,
        }
    return {
        "checkpoint": str(path),
        "schema_version": manifest.schema_version,
        "sha256": manifest.sha256,
        **manifest.info.model_dump(mode="json"),
        "components": components,
    }


def about_run(run: RunFolder) -> dict[str, Any]:
    """`run.json`, the state of the run, and a line for each of its checkpoints."""
    return {
        "run_dir": str(run.path),
        **run.record.model_dump(mode="json"),
        "state": run.state,
        "checkpoints": [_line(path) for path in checkpoints(run.checkpoints)],
    }


def _line(path: Path) -> dict[str, Any]:
    try:
        manifest = read_manifest(path)
    except CheckpointError as error:
        return {"checkpoint": path.name, "problem": str(error)}
    info: CheckpointInfo = manifest.info
    return {
        "checkpoint": path.name,
        "env_steps": info.env_steps,
        "updates": info.updates,
        "mean_return": info.mean_return,
        "created": info.created,
        "num_bytes": manifest.num_bytes,
        "sha256": manifest.sha256,
    }


def _show_checkpoint(report: dict[str, Any]) -> None:
    score = report["mean_return"]
    print_lines(
        {
            "Checkpoint": report["checkpoint"],
            "Trained": f"{report['algorithm']} on {report['environment']}",
            "Steps": f"{report['env_steps']:,} environment steps, {report['updates']:,} updates",
            "Return": "not evaluated" if score is None else f"{score:,.1f}",
            "Written": f"{report['created']} with {_versions(report['versions'])}",
            "Digest": f"{report['sha256']} (every file checked)",
        }
    )
    print()
    rows = [
        (name, f"{len(one['arrays'])}", f"{one['numbers']:,}", f"{one['num_bytes']:,}")
        for name, one in report["components"].items()
    ]
    show_table(("component", "arrays", "numbers", "bytes"), rows)


def _show_run(report: dict[str, Any]) -> None:
    evaluation = report["evaluation"]
    ended = report["ended"] or ""
    lines = {
        "Run": report["run_dir"],
        "Trains": f"{report['algorithm']} on {report['environment']}, seed {report['seed']}",
        "State": f"{report['state']}{f' ({ended})' if ended else ''}",
        "Steps": f"{report['env_steps']:,} environment steps",
        "Return": describe_return(evaluation) if evaluation else "not evaluated",
        "Command": " ".join(report["command"]),
        "Versions": _versions(report["versions"]),
    }
    if report["outcome"]:
        lines["Outcome"] = report["outcome"]
    if report["initialized_from"]:
        lines["Weights from"] = report["initialized_from"]
    print_lines(lines)
    print()
    rows = [_row(line) for line in report["checkpoints"]]
    show_table(("checkpoint", "steps", "updates", "return", "bytes", "digest"), rows)


def _row(line: dict[str, Any]) -> tuple[str, ...]:
    if "problem" in line:
        return (line["checkpoint"], "", "", "", "", line["problem"])
    score = line["mean_return"]
    return (
        line["checkpoint"],
        f"{line['env_steps']:,}",
        f"{line['updates']:,}",
        "" if score is None else f"{score:,.1f}",
        f"{line['num_bytes']:,}",
        line["sha256"][:12],
    )


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
