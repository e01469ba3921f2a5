"""Options that several commands share; Typer reads them where a parameter is annotated so."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rlplug.cli.completion import complete_algorithm, complete_environment, complete_run

Algorithm = Annotated[
    str | None,
    typer.Argument(
        metavar="ALGORITHM", help="A registered name: dqn, ...", autocompletion=complete_algorithm
    ),
]
Environment = Annotated[
    str | None,
    typer.Argument(
        metavar="ENVIRONMENT",
        help="A registered name (cartpole, ...) or a Gymnasium id.",
        autocompletion=complete_environment,
    ),
]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Folder of a run; 'last' is the newest below runs/.",
        autocompletion=complete_run,
    ),
]
Steps = Annotated[
    str | None, typer.Option(metavar="N", help="Environment steps of the run: 1e5, ...")
]
Workers = Annotated[
    str | None,
    typer.Option(metavar="W|auto", help="Divide the environments over so many Ray workers."),
]
Launcher = Annotated[
    str | None,
    typer.Option(metavar="local|ray|auto", help="Where environments step; auto measures a step."),
]
Mode = Annotated[
    str | None,
    typer.Option(metavar="sync|async", help="Whether workers wait for the newest weights."),
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="auto|ADDRESS", help="Ray cluster to join; none starts one here."),
]
EnvsPerWorker = Annotated[
    str | None, typer.Option(metavar="K", help="Environments of each worker, outright.")
]
EnvTimeout = Annotated[
    str | None,
    typer.Option(metavar="SECONDS", help="Replace a worker that needs longer for one step."),
]
Seed = Annotated[
    str | None, typer.Option(metavar="N", help="The one seed that everything is drawn from.")
]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="One run for each seed and a table of all: 0-4, or 0,1,7."),
]
Device = Annotated[
    str | None, typer.Option(metavar="auto|cpu|cuda", help="Where the agent computes.")
]
PresetName = Annotated[
    str, typer.Option(metavar="NAME", help="Settings known to work for the pair; 'none' for none.")
]
ConfigFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="YAML file of settings, by section.")
]
RunRoot = Annotated[Path, typer.Option(metavar="DIR", help="Where run folders are made.")]
Resume = Annotated[
    str | None,
    typer.Option(
        metavar="RUN",
        help="Go on with an earlier run: its folder, 'last', or 'auto' for the newest of this very "
        "command that has not finished, if there is one.",
        autocompletion=complete_run,
    ),
]
InitFrom = Annotated[
    str | None,
    typer.Option(
        "--init-from",
        metavar="RUN[:CHECKPOINT]",
        help="Begin with the weights of another run: RUN, RUN:best or RUN:step-000050000.",
        autocompletion=complete_run,
    ),
]
InitPartial = Annotated[
    bool, typer.Option("--init-partial", help="Of those weights take what fits, and list the rest.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Resolve and check everything, then stop.")]
ConsoleKind = Annotated[
    Literal["auto", "rich", "plain", "off"] | None,
    typer.Option(help="How progress is shown; auto is rich on a terminal."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
