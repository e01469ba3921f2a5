"""Trains us and Stable-Baselines3 in turn on equal settings and seeds; writes docs/results/peer.md.

    python -m benchmarks.peer_learning --seeds 10-14 [--only "sac pendulum"]

A B A B, each run a process of its own with one thread. Both are judged alike: the mean of 50 greedy
episodes of the policy at the end, and environment steps per second from the first update on. Curves
are of training itself, whose policy explores: the mean return of its last 100 episodes.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.peer_suites import MATCHES, Match
from benchmarks.sb3 import learn_timed

RESULTS = Path(__file__).parents[1] / "docs" / "results"
RUN_LIMIT_SECONDS = 24 * 3600
EPISODES = 50
CURVE_POINTS = 10
RECENT_EPISODES = 100
"""What our reports average over."""


def train_ours(match: Match, seed: int) -> dict[str, Any]:
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
    reports = [json.loads(line) for line in lines]
    rows = [row for row in reports if row.get("updates")]
    first, last = rows[0], rows[-1]
    curve = {row["env_steps"]: row["episode_return"] for row in reports if "episode_return" in row}
    return {
        "mean_return": result.evaluation.mean_return,
        "curve": [
            [point, curve[max(steps for steps in curve if steps <= point)]]
            for point in curve_points(match)
            if point >= min(curve)
        ],
        "steps_per_second": (last["env_steps"] - first["env_steps"])
        / (last["training_seconds"] - first["training_seconds"]),
    }


def curve_points(match: Match) -> list[int]:
    """Environment steps at which curves are read."""
    return [match.env_steps * tenth // CURVE_POINTS for tenth in range(1, CURVE_POINTS + 1)]


def curve_of(envs: Any, match: Match) -> list[list[float]]:
    """Their curve, from what their `Monitor` around each environment noted."""
    lengths = envs.env_method("get_episode_lengths")
    returns = envs.env_method("get_episode_rewards")
    ended = sorted(
        (steps * match.num_envs, episode_return)
        for mine, gained in zip(lengths, returns, strict=True)
        for steps, episode_return in zip(accumulate(mine), gained, strict=True)
    )
    curve = []
    for point in curve_points(match):
        recent = [episode_return for steps, episode_return in ended if steps <= point]
        if recent:
            curve.append([point, statistics.mean(recent[-RECENT_EPISODES:])])
    return curve


def train_theirs(match: Match, seed: int) -> dict[str, Any]:
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
    return {
        "mean_return": float(mean_return),
        "curve": curve_of(envs, match),
        "steps_per_second": steps_per_second,
    }


def run_once(system: str, match: Match, seed: int) -> dict[str, Any]:
    """One run as a process of its own; its last line of output is its figures."""
    names = [system, match.key, str(seed), str(match.env_steps)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peer_learning", "--train", *names],
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_LIMIT_SECONDS,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode != 0:
        sys.exit(f"{system} failed on {match.key}, seed {seed}:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
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
            means[system] = statistics.mean(returns)
            stds[system] = statistics.stdev(returns) if len(returns) > 1 else 0.0
            speed = statistics.median(run["steps_per_second"] for run in runs)
            each = ", ".join(f"{run['seed']}: {run['mean_return']:.0f}" for run in runs)
            env_steps = runs[0].get("env_steps", MATCHES[key].env_steps)
            holds = means[system] >= means["sb3"] - stds["sb3"]
            lines.append(
                f"| {key} | {env_steps:,} | {system} | {each} | "
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
    for key, systems in results.items():
        lines += curves(key, systems)
    return "\n".join([*lines, ""])


def curves(key: str, systems: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Both systems' training, a row each tenth; of matches that were run since this is noted."""
    columns = {
        f"{system} {run['seed']}": dict(map(tuple, run["curve"]))
        for system, runs in systems.items()
        for run in runs
        if "curve" in run
    }
    if not columns:
        return []
    about = next(iter(systems.values()))[0]
    simulator = f"; {about['simulator']}" if "simulator" in about else ""
    lines = [
        "",
        f"### {key}",
        "",
        f"Made by `{about['command']}`{simulator}. Mean return of the last {RECENT_EPISODES} "
        "training episodes, a column each system and seed:",
        "",
        f"| env steps | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for steps in sorted(set().union(*columns.values())):
        row = (f"{curve[steps]:.0f}" if steps in curve else "" for curve in columns.values())
        lines.append(f"| {steps:,} | {' | '.join(row)} |")
    return lines


def main() -> None:
    """Parse, run what is asked, and write the page after each match."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_learning", description=__doc__)
    parser.add_argument("--seeds", default="10-14", help="first-last")
    parser.add_argument("--only", choices=list(MATCHES), nargs="*", default=list(MATCHES))
    parser.add_argument("--steps", type=lambda text: int(float(text)), help="for a short look")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    options = parser.parse_args()
    first, last = map(int, options.seeds.split("-"))
    store = options.results / "peer.json"
    for key in options.only:
        match = replace(MATCHES[key], env_steps=options.steps or MATCHES[key].env_steps)
        about: dict[str, Any] = {
            "env_steps": match.env_steps,
            "command": f'python -m benchmarks.peer_learning --seeds {options.seeds} --only "{key}"',
        }
        if match.simulator:
            about["simulator"] = f"{match.simulator} {version(match.simulator)}"
        runs: dict[str, list[dict[str, Any]]] = {"sb3": [], "ours": []}
        for seed in range(first, last + 1):
            for system, done in runs.items():
                done.append({"seed": seed, **about, **run_once(system, match, seed)})
            results: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
            results[key] = runs
            store.write_text(json.dumps(results, indent=1) + "\n")
            (options.results / "peer.md").write_text(table(results))
        print(key, json.dumps(runs), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        system, key, seed, env_steps = sys.argv[2:]
        train = train_ours if system == "ours" else train_theirs
        print(json.dumps(train(replace(MATCHES[key], env_steps=int(env_steps)), int(seed))))
    else:
        main()
