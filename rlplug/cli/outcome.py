"""What train prints: what it is about to do, and what came of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlplug.resolve import Resolved, Spaces
    from rlplug.train.run import RunResult


def as_dict(result: "RunResult") -> dict[str, Any]:
    """A finished run, ready for JSON."""
    return {
        "run_dir": str(result.run_dir),
        "env_steps": result.env_steps,
        "stopped_by": result.stopped_by,
        "evaluation": result.evaluation.to_dict(),
    }


def show(result: "RunResult", *, as_json: bool) -> None:
    """Print a finished run as JSON; without, the console has said it all while it ran."""
    if as_json:
        print(json.dumps(as_dict(result)))


def describe_return(evaluation: dict[str, Any]) -> str:
    """`487.2 ± 12.4 over 50 episodes`."""
    mean, std = evaluation["mean_return"], evaluation["std_return"]
    score = evaluation.get("normalized_score")
    normalised = "" if score is None else f" (normalised {score:.3g})"
    return f"{mean:,.1f} ± {std:,.1f} over {evaluation['episodes']} episodes{normalised}"


def print_lines(lines: dict[str, str]) -> None:
    """Labelled lines, their texts below each other."""
    width = max(map(len, lines)) + 3
    for label, text in lines.items():
        print(f"{label:{width}}{text}")


def show_plan(resolved: "Resolved", run_root: Path, seeds: list[int], *, as_json: bool) -> None:
    """Check that it can run, and say what would; nothing of it is built.

    Raises:
        IncompatibleError: if the algorithm cannot work in the environment.
        ConfigError: if a hook refuses the run.
    """
    from rlplug.registry.hooks import hooks_for
    from rlplug.resolve import check

    plan = _plan(resolved, check(resolved), run_root, seeds)
    hooks_for(resolved.config, resolved.algorithm, resolved.environment).tell_problems()
    if as_json:
        print(json.dumps(plan))
        return
    changed = {
        name: f"{value}   ({resolved.layers[name]})" for name, value in plan.pop("changed").items()
    }
    print_lines({label.replace("_", " ").capitalize(): str(text) for label, text in plan.items()})
    if changed:
        print("\nDiffers from the defaults:")
        print_lines({f"  {name}": text for name, text in changed.items()})


def _plan(
    resolved: "Resolved", spaces: "Spaces", run_root: Path, seeds: list[int]
) -> dict[str, Any]:
    from rlplug.resolve import flatten

    config = resolved.config
    launch = config.launch
    asked = {"algorithm", "environment"}
    plan: dict[str, Any] = {
        "algorithm": f"{config.algorithm} ({resolved.algorithm.summary})",
        "environment": f"{config.environment} ({resolved.environment.summary})",
        "observation": " ".join(str(spaces.observation).split()),
        "action": " ".join(str(spaces.action).split()),
        "environments": launch.total_envs,
        "workers": f"{launch.workers} ({_where(launch)}, {launch.mode})",
        "seeds": seeds or [config.seed],
        "device": config.device,
        "preset": f"{resolved.preset.name} ({resolved.preset.source})" if resolved.preset else None,
        "environment_steps": getattr(config.train, "steps", None),
        "updates": _updates(config.train),
        "run_folder": str(run_root / config.environment / config.algorithm / "TIME-SEED"),
        "changed": {
            name: value
            for name, value in flatten(config.model_dump(mode="json"))
            if name not in asked and resolved.layers[name] != "default"
        },
    }
    return {label: value for label, value in plan.items() if value is not None}


def _where(launch: Any) -> str:
    if launch.launcher is not None:
        return str(launch.launcher)
    several = launch.workers != 1 or launch.mode == "async" or launch.cluster != "none"
    return "ray" if several else "local"


def _updates(train: Any) -> int | None:
    """Optimizer steps of the whole run, where the loop makes a fixed number per step."""
    rate = getattr(train, "updates_per_env_step", None)
    if rate is None:
        return None
    learning = max(0, train.steps - getattr(train, "warmup_env_steps", 0))
    return int(learning * rate)
