"""One timed run of Stable-Baselines3 on the same work, as a process of its own."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks.work import WORK

if TYPE_CHECKING:
    from benchmarks.peer_suites import Match


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


def vector_environment(match: Match) -> Any:
    """Their vector environment: with their Atari wrappers and stack for games."""
    from stable_baselines3.common.env_util import make_atari_env, make_vec_env
    from stable_baselines3.common.vec_env import VecFrameStack

    if match.simulator != "ale-py":
        return make_vec_env(match.gymnasium_id, match.num_envs, seed=0)
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    return VecFrameStack(make_atari_env(match.gymnasium_id, match.num_envs, seed=0), 4)


def main(name: str, threads: str, device: str = "cpu") -> None:
    """Train the named work and report steady-state steps per second."""
    started = time.perf_counter()
    import stable_baselines3
    import torch

    if threads.isdigit():
        torch.set_num_threads(int(threads))
    work = WORK[name]
    cls = getattr(stable_baselines3, work.match.algorithm.upper())
    envs = vector_environment(work.match)
    model = cls(work.policy, envs, seed=0, device=device, **work.match.theirs)
    figures = {
        "steps_per_second": learn_timed(model, work.match.env_steps),
        "wall_seconds": time.perf_counter() - started,
        "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "updates": model._n_updates,  # no public count
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
