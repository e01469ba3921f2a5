"""Stable-Baselines3 up to the first evaluation at the mark, as a process of its own.

    python -m benchmarks.sb3_solve "dqn cartpole" 0

Settings are the RL Baselines3 Zoo's. The last line of output is the run's figures as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any, NamedTuple

from benchmarks.peer_suites import PPO_CARTPOLE, SAC_PENDULUM, Match
from benchmarks.work import WORK

EPISODES = 20
"""Of each evaluation, greedy."""
EVALUATION_ENVS = 10
"""Environments that they are played in; ours by default."""


class Problem(NamedTuple):
    """What is solved, and when that is looked at."""

    match: Match
    """Of ours only the names count: our settings are the preset's."""
    mark: float
    """Mean return of an evaluation that counts as solved."""
    every_env_steps: int
    """Between evaluations."""


PROBLEMS = {
    problem.match.key: problem
    for problem in (
        Problem(PPO_CARTPOLE, 475, 2_000),
        Problem(replace(WORK["W1"].match, env_steps=50_000), 475, 2_500),
        Problem(SAC_PENDULUM, -200, 500),
    )
}
"""By what the command calls them; the Zoo and our presets train for the same number of steps."""


def solve(problem: Problem, seed: int) -> dict[str, Any]:
    """Train until an evaluation reaches the mark, or to the end of the budget."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.callbacks import EvalCallback, StopTrainingOnRewardThreshold
    from stable_baselines3.common.env_util import make_vec_env

    match = problem.match
    envs = make_vec_env(match.gymnasium_id, match.num_envs, seed=seed)
    unseen = make_vec_env(match.gymnasium_id, EVALUATION_ENVS, seed=1_000_000 + seed)
    cls = getattr(stable_baselines3, match.algorithm.upper())
    model = cls("MlpPolicy", envs, seed=seed, device="cpu", **match.theirs)
    evaluation = EvalCallback(
        unseen,
        callback_on_new_best=StopTrainingOnRewardThreshold(problem.mark, verbose=0),
        n_eval_episodes=EPISODES,
        eval_freq=problem.every_env_steps // match.num_envs,
        verbose=0,
    )
    model.learn(match.env_steps, callback=evaluation)
    return {
        "best": float(evaluation.best_mean_reward),
        "env_steps": model.num_timesteps,
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    name, at_seed, *env_steps = sys.argv[1:]
    asked = PROBLEMS[name]
    if env_steps:
        asked = asked._replace(match=replace(asked.match, env_steps=int(env_steps[0])))
    print(json.dumps(solve(asked, int(at_seed))))
