"""Stable-Baselines3's PPO on Pong with the settings of our preset `short`, for the same steps.

    python -m benchmarks.sb3_pong --seeds 0-0     # writes docs/results/atari-beside.json

Each run is a process in the peer's environment, with one thread. Policies are sampled in
evaluations, which count whole games and raw returns, as ours do. What the settings do not say is
alike by default: GAE's λ 0.95, value weight 0.5, gradient norm 0.5, Adam's ε 1e-5, advantages
normalised in each minibatch. Their games are emulated by the same ale-py, under their wrappers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peer_suites import decay
from benchmarks.peers import ROOT, python_of, versions_of

BESIDE = ROOT / "docs" / "results" / "atari-beside.json"
RUN_LIMIT_SECONDS = 24 * 3600
ENV_STEPS = 1_000_000
EVERY_ENV_STEPS = 100_000
EPISODES = 5
"""Of each evaluation on the way, as our command asked for."""
FINAL_EPISODES = 50
SETTINGS: dict[str, Any] = {
    "n_steps": 128,
    "batch_size": 32,
    "n_epochs": 3,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.1,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "learning_rate": decay(2.5e-4),
}


def train(seed: int, env_steps: int) -> dict[str, Any]:
    """One run of theirs: its evaluations, and its seconds without them."""
    import ale_py
    import gymnasium
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecFrameStack

    torch.set_num_threads(1)
    gymnasium.register_envs(ale_py)

    def games(num_envs: int, first_seed: int) -> Any:
        return VecFrameStack(make_atari_env("PongNoFrameskip-v4", num_envs, seed=first_seed), 4)

    unseen = games(10, 1_000_000 + seed)
    curve: list[list[float]] = []

    def evaluate(model: Any, episodes: int) -> None:
        mean, _ = evaluate_policy(model, unseen, episodes, deterministic=False)
        curve.append([model.num_timesteps, float(mean)])
        print(curve[-1], file=sys.stderr, flush=True)

    class Evaluations(BaseCallback):
        """Evaluates after the first update beyond each mark."""

        spent = 0.0

        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            if self.num_timesteps >= (len(curve) + 1) * EVERY_ENV_STEPS:
                began = time.perf_counter()
                evaluate(self.model, EPISODES)
                self.spent += time.perf_counter() - began

    model = PPO("CnnPolicy", games(8, seed), seed=seed, device="cpu", **SETTINGS)
    evaluations = Evaluations()
    began = time.perf_counter()
    model.learn(env_steps, callback=evaluations)
    seconds = time.perf_counter() - began - evaluations.spent
    evaluate(model, FINAL_EPISODES)
    return {"curve": curve, "training_seconds": seconds}


def main() -> None:
    """Run the seeds one after the other, and keep what is done after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sb3_pong", description=__doc__)
    parser.add_argument("--seeds", default="0-0", help="first-last")
    parser.add_argument("--steps", type=int, default=ENV_STEPS, help="for a short look")
    parser.add_argument("--write", type=Path, default=BESIDE)
    options = parser.parse_args()
    first, last = map(int, options.seeds.split("-"))
    curves: dict[str, Any] = {}
    for seed in range(first, last + 1):
        done = subprocess.run(
            [
                python_of("sb3"),
                *("-m", "benchmarks.sb3_pong", "--train", str(seed), str(options.steps)),
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=RUN_LIMIT_SECONDS,
            cwd=ROOT,
        )
        figures = json.loads(done.stdout.splitlines()[-1])
        curves[f"Stable-Baselines3, seed {seed}"] = figures["curve"]
        options.write.write_text(json.dumps(beside(options.seeds, curves), indent=1) + "\n")


def beside(seeds: str, curves: dict[str, Any]) -> dict[str, Any]:
    """What our table shows next to our curves."""
    names = ("stable-baselines3", "ale-py", "torch", "gymnasium", "numpy")
    text = (
        "Stable-Baselines3's PPO with the same settings, its own wrappers and one thread, judged "
        f"alike: `python -m benchmarks.sb3_pong --seeds {seeds}`; {versions_of('sb3', *names)}."
    )
    return {"text": text, "curves": curves}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        print(json.dumps(train(*map(int, sys.argv[2:]))))
    else:
        main()
