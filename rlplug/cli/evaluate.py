"""`rlplug eval RUN`: play whole episodes with a trained policy."""

import json
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from rlplug.cli import options
from rlplug.cli.outcome import describe_return, print_lines
from rlplug.cli.runs import find_run


def command(  # noqa: PLR0913 - one parameter for each option
    run: options.Run,
    *,
    episodes: Annotated[int, typer.Option(min=1, metavar="N", help="Episodes to play.")] = 50,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Starts the environments; else one that training never used."
        ),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="last|best|PATH", help="Which weights to play with.")
    ] = "last",
    mode: Annotated[
        Literal["greedy", "sample"], typer.Option(help="How actions are chosen.")
    ] = "greedy",
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda", help="Where the policy computes.")
    ] = "cpu",
    render: Annotated[bool, typer.Option("--render", help="Play in a window.")] = False,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record the first episodes: .mp4 or .gif.")
    ] = None,
    evaluation_set: Annotated[
        str | None,
        typer.Option("--set", metavar="NAME", help="One evaluation set; else each, if several."),
    ] = None,
    as_json: options.AsJson = False,
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
        evaluation_set=evaluation_set,
    ).to_dict()
    if as_json:
        print(json.dumps(report))
        return
    lines = {
        "Policy": f"{report['algorithm']} on {report['environment']}",
        "Checkpoint": report.get("checkpoint", checkpoint),
    }
    for name, one in report.get("sets", {"": report}).items():
        of_set = f" on {name}" if name else ""
        lines[f"Return{of_set}"] = describe_return(one)
        lines[f"Range{of_set}"] = f"{min(one['returns']):,.1f} to {max(one['returns']):,.1f}"
    if video:
        lines["Video"] = str(video)
    print_lines(lines)
