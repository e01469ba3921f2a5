"""`rlplug train --seeds 0-4`: one run for each seed in turn, and a table of all."""

import dataclasses
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rlplug.cli.tables import show_table
from rlplug.errors import ConfigError, InterruptedRunError, RlplugError

if TYPE_CHECKING:
    from rlplug.resolve import Resolved
    from rlplug.train.run import RunResult

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def parse_seeds(seeds: str | None, seed: str | None) -> list[int]:
    """The seeds that `0-4` or `0,1,7` names; empty where it is not given.

    Raises:
        ConfigError: if it is neither, or there is a single seed as well.
    """
    if seeds is None:
        return []
    if seed is not None:
        raise ConfigError("--seed and --seeds exclude each other; give one of them.")
    numbers: list[int] = []
    for part in seeds.split(","):
        found = _RANGE.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last:
            msg = f"--seeds: {seeds!r} is not a list of seeds, such as 0-4 or 0,1,7."
            raise ConfigError(msg)
        numbers += range(first, last + 1)
    if len(set(numbers)) < len(numbers):
        msg = f"--seeds: {seeds!r} names a seed twice."
        raise ConfigError(msg)
    return numbers


def train_each(
    resolved: "Resolved",
    seeds: list[int],
    train: Callable[["Resolved"], "RunResult"],
    *,
    as_json: bool,
) -> None:
    """Train with one seed after the other, then show what all of them reached.

    A run that fails is reported and the others go on; an interrupt stops them all.

    Raises:
        RlplugError: the first failure, after the table.
    """
    results: dict[int, RunResult] = {}
    failures: dict[int, RlplugError] = {}
    for seed in seeds:
        config = resolved.config.model_copy(update={"seed": seed})
        layers = resolved.layers | {"seed": "command line"}
        try:
            results[seed] = train(dataclasses.replace(resolved, config=config, layers=layers))
        except InterruptedRunError as error:
            failures[seed] = error
            break
        except RlplugError as error:
            failures[seed] = error
    report = summary(results, failures)
    print(json.dumps(report)) if as_json else _print(report)
    if failures:
        raise next(iter(failures.values()))


def summary(results: "dict[int, RunResult]", failures: dict[int, RlplugError]) -> dict[str, Any]:
    """What each run reached, and all of them together."""
    from rlplug.cli.outcome import as_dict
    from rlplug.statistics import summarise

    runs = [{"seed": seed, **as_dict(result)} for seed, result in results.items()]
    returns = [run["evaluation"]["mean_return"] for run in runs if run["evaluation"]]
    runs += [{"seed": seed, "error": str(error)} for seed, error in failures.items()]
    return {"runs": runs, **(summarise(returns)._asdict() if returns else {})}


def _print(report: dict[str, Any]) -> None:
    rows = []
    for run in report["runs"]:
        evaluation = run.get("evaluation")
        reached = (
            f"{evaluation['mean_return']:,.1f} ± {evaluation['std_return']:,.1f}"
            if evaluation
            else run.get("error", "not evaluated").splitlines()[0]
        )
        steps = f"{run['env_steps']:,}" if "env_steps" in run else ""
        rows.append((str(run["seed"]), reached, steps, run.get("run_dir", "")))
    show_table(("seed", "return", "environment steps", "run"), rows)
    if "mean" not in report:
        return
    print(f"\nMean of the runs     {report['mean']:,.1f} ± {report['std']:,.1f}")
    print(f"Interquartile mean   {report['interquartile_mean']:,.1f}", end="")
    if report["interval"]:
        low, high = report["interval"]
        print(f", 95 % interval {low:,.1f} to {high:,.1f}", end="")
    print()
