"""Trains us and Stable-Baselines3 in turn on equal settings and seeds; writes docs/results/peer.md.

    python -m benchmarks.peer_learning --seeds 10-14 [--only "sac pendulum"]

A B A B, each run a process of its own with one thread. Both are judged alike: the mean of 50 greedy
episodes of the policy at the end, and environment steps per second from the first update on.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peer_suites import MATCHES, Match
from benchmarks.sb3 import learn_timed

RESULTS = Path(__file__).parents[1] / "docs" / "results"
RUN_LIMIT_SECONDS = 3600
EPISODES = 50


def train_ours(match: Match, seed: int) -> dict[str, float]:
    """One run of rlplug, without a preset: every setting that counts is in the match."""
    import rlplug

    quiet = {
        "evaluate.every_env_steps": match.env_steps,
        "evaluate.final_episodes": EPISODES,
        "checkpoint.every_env_steps": match.env_steps,
        "checkpoint.save_replay": False,
        "tracking.console": "off",
        "tracking.tensorboard": False,
        "launch.threads": 1,
    }
    with tempfile.TemporaryDirectory() as folder:
        result = rlplug.train(
            match.algorithm,
            match.environment,
            preset=None,
            steps=match.env_steps,
            seed=seed,
            run_dir=folder,
            **(match.ours | quiet),
        )
        lines = (Path(result.run_dir) / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row.get("updates")]
    first, last = rows[0], rows[-1]
    return {
        "mean_return": result.evaluation.mean_return,
        "steps_per_second": (last["env_steps"] - first["env_steps"])
        / (last["training_seconds"] - first["training_seconds"]),
    }


def train_theirs(match: Match, seed: int) -> dict[str, float]:
    """One run of Stable-Baselines3 on the same settings."""
    import numpy as np
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.noise import NormalActionNoise

    torch.set_num_threads(1)
    arguments = dict(match.theirs)
    envs = make_vec_env(match.gymnasium_id, match.num_envs, seed=seed)
    if match.action_noise is not None:
        width = np.ones(envs.action_space.shape)
        arguments["action_noise"] = NormalActionNoise(0 * width, match.action_noise * width)
    cls = getattr(stable_baselines3, match.algorithm.upper())
    model = cls("MlpPolicy", envs, seed=seed, device="cpu", **arguments)
    steps_per_second = learn_timed(model, match.env_steps)
    unseen = make_vec_env(match.gymnasium_id, 10, seed=1_000_000 + seed)
    mean_return, _ = evaluate_policy(model, unseen, n_eval_episodes=EPISODES, deterministic=True)
    return {"mean_return": float(mean_return), "steps_per_second": steps_per_second}


def run_once(system: str, key: str, seed: int) -> dict[str, float]:
    """One run as a process of its own; its last line of output is its figures."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peer_learning", "--train", system, key, str(seed)],
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_LIMIT_SECONDS,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode != 0:
        sys.exit(f"{system} failed on {key}, seed {seed}:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(results: dict[str, Any]) -> str:
    """The page: per match, both systems' returns and speeds, and whether ours hold."""
    names = ("rlplug", "stable-baselines3", "torch", "gymnasium", "numpy")
    lines = [
        "# Side by side with Stable-Baselines3",
        "",
        "Made by `python -m benchmarks.peer_learning --seeds 10-14`; Python "
        f"{platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in names)}; "
        "one thread a run, in turn, on a shared machine: trust the ratios.",
        "Equal settings (`benchmarks/peer_suites.py`), equal seeds. Returns are means over 50 "
        "greedy episodes of the policy at the end; steps per second are from the first update on. "
        "`holds` says whether our mean is at least theirs minus one standard deviation of theirs.",
        "",
        "| work | env steps | system | each seed | mean ± std | steps/s (median) | holds |",
        "|---|---|---|---|---|---|---|",
    ]
    for key in (key for key in MATCHES if key in results):
        means, stds = {}, {}
        for system in ("sb3", "ours"):
            runs = results[key][system]
            returns = [run["mean_return"] for run in runs]
            means[system], stds[system] = statistics.mean(returns), statistics.stdev(returns)
            speed = statistics.median(run["steps_per_second"] for run in runs)
            each = ", ".join(f"{run['seed']}: {run['mean_return']:.0f}" for run in runs)
            holds = means[system] >= means["sb3"] - stds["sb3"]
            lines.append(
                f"| {key} | {MATCHES[key].env_steps:,} | {system} | {each} | "
                f"{means[system]:.1f} ± {stds[system]:.1f} | {speed:,.0f} | "
                f"{'' if system == 'sb3' else 'yes' if holds else 'no'} |"
            )
    lines += ["", "Our speed as a multiple of theirs, seed by seed (median, range):", ""]
    for key, systems in results.items():
        ratios = [
            mine["steps_per_second"] / theirs["steps_per_second"]
            for mine, theirs in zip(systems["ours"], systems["sb3"], strict=True)
        ]
        lines.append(
            f"- {key}: **{statistics.median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Parse, run what is asked, and write the page after each match."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_learning", description=__doc__)
    parser.add_argument("--seeds", default="10-14", help="first-last")
    parser.add_argument("--only", choices=list(MATCHES), nargs="*", default=list(MATCHES))
    options = parser.parse_args()
    first, last = map(int, options.seeds.split("-"))
    store = RESULTS / "peer.json"
    for key in options.only:
        runs: dict[str, list[dict[str, float]]] = {"sb3": [], "ours": []}
        for seed in range(first, last + 1):
            for system, done in runs.items():
                done.append({"seed": seed, **run_once(system, key, seed)})
        results: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
        results[key] = runs
        store.write_text(json.dumps(results, indent=1) + "\n")
        (RESULTS / "peer.md").write_text(table(results))
        print(key, json.dumps(runs), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        system, key, seed = sys.argv[2:]
        train = train_ours if system == "ours" else train_theirs
        print(json.dumps(train(MATCHES[key], int(seed))))
    else:
        main()
