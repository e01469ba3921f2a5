"""`rlplug runs`: the runs in a folder; and which run a word means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlplug.checkpoint import best_checkpoint, read_manifest
from rlplug.cli.tables import show_table
from rlplug.errors import CheckpointError, RunFolderError
from rlplug.run_folder import is_complete, runs_below

if TYPE_CHECKING:
    from rlplug.run_folder import RunFolder

LAST, AUTO = "last", "auto"


def command(
    root: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of all runs.")] = Path(
        "runs"
    ),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs in a folder, the newest first: state, steps, best score."""
    runs = sorted(runs_below(root), key=lambda run: run.record.started, reverse=True)
    rows = [about(run) for run in runs]
    if as_json:
        print(json.dumps(rows, indent=2))
    elif rows:
        show_table(("run", "state", "steps", "best return", "started"), [_row(row) for row in rows])
    else:
        print(f"There is no run in {root}. Start one: rlplug train dqn cartpole")


def about(run: RunFolder) -> dict[str, Any]:
    """One run, ready for JSON."""
    record = run.record
    return {
        "run_dir": str(run.path),
        "algorithm": record.algorithm,
        "environment": record.environment,
        "seed": record.seed,
        "state": run.state,
        "env_steps": record.env_steps,
        "best_return": _best_return(run),
        "started": record.started.isoformat(timespec="seconds"),
        "ended": record.ended.isoformat(timespec="seconds") if record.ended else None,
        "outcome": record.outcome,
    }


def _best_return(run: RunFolder) -> float | None:
    """Of the best checkpoint's evaluation, or of the run's last where that is better."""
    last = (run.record.evaluation or {}).get("mean_return")
    scores = [float(last)] if isinstance(last, int | float) else []
    if best := best_checkpoint(run.path):
        try:
            score = read_manifest(best).info.mean_return
        except CheckpointError:
            score = None  # it was removed between the two looks
        scores += [] if score is None else [score]
    return max(scores, default=None)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    best = row["best_return"]
    return (
        row["run_dir"],
        row["state"],
        f"{row['env_steps']:,}",
        "" if best is None else f"{best:,.1f}",
        row["started"],
    )


def find_run(run: str, root: Path = Path("runs")) -> Path:
    """The folder of a run: a path, or `last` for the newest below `root`.

    Raises:
        RunFolderError: if there is none.
    """
    if run != LAST or Path(run).is_dir():
        return Path(run)
    found = [file for file in root.glob("*/*/*/config.yaml") if is_complete(file.parent)]
    if not found:
        msg = f"There is no run in {root.resolve()}. Start one: rlplug train dqn cartpole"
        raise RunFolderError(msg)
    return max(found, key=lambda file: file.stat().st_mtime_ns).parent


def find_source(source: str | None, root: Path) -> str | None:
    """`RUN[:CHECKPOINT]` with the folder of the run in place of `last`."""
    if source is None or Path(source).exists():
        return source
    run, colon, checkpoint = source.partition(":")
    return f"{find_run(LAST, root)}{colon}{checkpoint}" if run == LAST else source
