"""One timed run of Stable-Baselines3 on the same work, as a process of its own."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

from benchmarks.work import WORK


def learn_timed(model: Any, env_steps: int) -> float:
    """Train a model of theirs; environment steps per second from its first update on."""
    from stable_baselines3.common.callbacks import BaseCallback

    class SteadyState(BaseCallback):
        """Notes when the first update is over."""

        since: tuple[int, float] | None = None

        def _on_step(self) -> bool:
            if self.since is None and self.model._n_updates > 0:  # no public count
                self.since = (self.num_timesteps, time.perf_counter())
            return True

    callback = SteadyState()
    model.learn(env_steps, callback=callback)
    if callback.since is None:
        msg = f"no update was made in {env_steps} steps"
        raise RuntimeError(msg)
    steps, at = callback.since
    return float((model.num_timesteps - steps) / (time.perf_counter() - at))


def main(name: str, threads: str) -> None:
    """Train the named work and report steady-state steps per second."""
    started = time.perf_counter()
    import torch
    from stable_baselines3 import DQN
    from stable_baselines3.common.env_util import make_vec_env

    if threads.isdigit():
        torch.set_num_threads(int(threads))
    work = WORK[name]
    model = DQN(
        "MlpPolicy",
        make_vec_env("CartPole-v1", work.num_envs, seed=0),
        learning_rate=work.learning_rate,
        batch_size=work.batch_size,
        buffer_size=work.capacity,
        learning_starts=work.warmup_env_steps,
        train_freq=work.collect_env_steps // work.num_envs,
        gradient_steps=work.updates_per_iteration,
        target_update_interval=work.target_update_every_updates,
        tau=work.target_update_rate,
        n_steps=work.n_step,
        exploration_fraction=0.16,
        exploration_final_eps=0.04,
        policy_kwargs={"net_arch": list(work.hidden_sizes)},
        seed=0,
    )
    figures = {
        "steps_per_second": learn_timed(model, work.env_steps),
        "wall_seconds": time.perf_counter() - started,
        "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "updates": model._n_updates,  # no public count
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
