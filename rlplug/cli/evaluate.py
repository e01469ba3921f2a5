"""`rlplug eval RUN`: play whole episodes with a trained policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from rlplug.cli.completion import complete_run
from rlplug.cli.runs import find_run

if TYPE_CHECKING:
    from rlplug.evaluate import EvaluationReport


def command(  # noqa: PLR0913 - one parameter for each option
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run; 'last' is the newest below runs/.",
            autocompletion=complete_run,
        ),
    ],
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to play.")] = 50,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Starts the environments; by default one that no training used."),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(help="'last', 'best' (by evaluation), or the path of one.")
    ] = "last",
    mode: Annotated[
        Literal["greedy", "sample"], typer.Option(help="How actions are chosen.")
    ] = "greedy",
    device: Annotated[str, typer.Option(help="Where the policy computes: cpu, cuda.")] = "cpu",
    render: Annotated[bool, typer.Option("--render", help="Play in a window.")] = False,
    video: Annotated[
        Path | None, typer.Option(help="Record the first episodes to this mp4 or gif file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play whole episodes with a trained policy: greedy actions, raw returns."""
    from rlplug.evaluate import evaluate_run

    named = cast("Literal['last', 'best']", checkpoint)
    report = evaluate_run(
        find_run(run),
        episodes=episodes,
        seed=seed,
        checkpoint=named if checkpoint in {"last", "best"} else Path(checkpoint),
        mode=mode,
        device=device,
        render=render,
        video=video,
    )
    if as_json:
        print(json.dumps(report.to_dict()))
    else:
        _print(report, report.to_dict())


def _print(report: EvaluationReport, about: dict[str, Any]) -> None:
    lines = {
        "Policy": f"{about['algorithm']} on {about['environment']}, from {about['checkpoint']}",
        "Episodes": f"{report.episodes}, {report.env_steps:,} environment steps",
        "Return": describe_return(report),
        "Range": f"{min(report.returns):,.1f} to {max(report.returns):,.1f}",
    }
    if "video" in about:
        lines["Video"] = about["video"]
    for name, text in lines.items():
        print(f"{name:10}{text}")


def describe_return(report: EvaluationReport) -> str:
    """`487.2 ± 12.4 over 50 episodes`."""
    return f"{report.mean_return:,.1f} ± {report.std_return:,.1f} over {report.episodes} episodes"
