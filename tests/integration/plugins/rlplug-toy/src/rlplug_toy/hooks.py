"""Notes in the run folder how the run ended."""

from rlplug.registry.hookspecs import RunFinished, RunStarted, hookimpl

_folders = []


@hookimpl
def rlplug_run_started(event: RunStarted) -> None:
    """Note where the run is kept."""
    _folders.append(event.run_dir)


@hookimpl
def rlplug_run_finished(event: RunFinished) -> None:
    """Write the outcome."""
    for folder in _folders:
        (folder / "toy.txt").write_text(f"{event.outcome} after {event.env_steps}")
