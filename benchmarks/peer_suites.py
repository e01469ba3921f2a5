"""Equal settings for us and for Stable-Baselines3: the RL Baselines3 Zoo's, which tuned them there.

What the Zoo leaves out is their default. Ours are written out next to theirs, setting by setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def decay(start: float) -> Any:
    """Their linear schedule from `start` to 0, over what remains of the run."""
    return lambda remaining: remaining * start


@dataclass(frozen=True)
class Match:
    """One algorithm in one environment, twice."""

    algorithm: str
    environment: str
    env_steps: int
    ours: dict[str, Any]
    theirs: dict[str, Any]
    """Arguments of their class, which is called as the algorithm in capitals."""
    gymnasium_id: str
    num_envs: int = 1
    action_noise: float | None = None
    """Standard deviation of their Gaussian noise on actions of width 2."""
    simulator: str = ""
    """The package that plays, beside Gymnasium; its version is named on the page."""

    @property
    def key(self) -> str:
        """Names the row."""
        return f"{self.algorithm} {self.environment}"


PPO_CARTPOLE = Match(
    algorithm="ppo",
    environment="cartpole",
    gymnasium_id="CartPole-v1",
    env_steps=100_000,
    num_envs=8,
    ours={
        "launch.num_envs": 8,
        "train.rollout_length": 32,
        "agent.batch_size": 256,
        "agent.epochs": 20,
        "agent.gamma": 0.98,
        "agent.advantage": {"kind": "gae", "lambda_": 0.8},
        "agent.entropy_coefficient": 0.0,
        "agent.optimizer.learning_rate": 1e-3,
        "agent.optimizer.decay": "linear",
        "agent.objective": {
            "kind": "clipped",
            "clip_ratio": {"kind": "linear", "start": 0.2, "end": 0},
        },
    },
    theirs={
        "n_steps": 32,
        "batch_size": 256,
        "n_epochs": 20,
        "gamma": 0.98,
        "gae_lambda": 0.8,
        "ent_coef": 0.0,
        "learning_rate": decay(1e-3),
        "clip_range": decay(0.2),
    },
)

SAC_PENDULUM = Match(
    algorithm="sac",
    environment="pendulum",
    gymnasium_id="Pendulum-v1",
    env_steps=20_000,
    ours={
        "launch.num_envs": 1,
        "train.collect_env_steps": 1,
        "train.updates_per_env_step": 1,
        "train.warmup_env_steps": 100,
        "agent.random_env_steps": 100,
        "agent.batch_size": 256,
        "agent.network.hidden_sizes": [256, 256],
        "agent.actor_optimizer.learning_rate": 1e-3,
        "agent.critic_optimizer.learning_rate": 1e-3,
        "agent.temperature": {"kind": "automatic", "optimizer": {"learning_rate": 1e-3}},
        "replay.capacity": 1_000_000,
        "replay.gamma": 0.99,
    },
    theirs={"learning_rate": 1e-3},
)

TD3_PENDULUM = Match(
    algorithm="td3",
    environment="pendulum",
    gymnasium_id="Pendulum-v1",
    env_steps=20_000,
    action_noise=0.1,
    ours={
        "launch.num_envs": 1,
        "train.collect_env_steps": 1,
        "train.updates_per_env_step": 1,
        "train.warmup_env_steps": 10_000,
        "agent.random_env_steps": 10_000,
        "agent.batch_size": 256,
        "agent.network.hidden_sizes": [400, 300],
        "agent.exploration": {"kind": "gaussian", "scale": 0.1},
        "agent.actor_optimizer.learning_rate": 1e-3,
        "agent.critic_optimizer.learning_rate": 1e-3,
        "replay.capacity": 200_000,
        "replay.gamma": 0.98,
    },
    theirs={
        "learning_rate": 1e-3,
        "gamma": 0.98,
        "buffer_size": 200_000,
        "learning_starts": 10_000,
        "policy_kwargs": {"net_arch": [400, 300]},
    },
)

SAC_HALFCHEETAH = Match(
    algorithm="sac",
    environment="halfcheetah",
    gymnasium_id="HalfCheetah-v5",
    simulator="mujoco",
    env_steps=100_000,
    ours={
        "launch.num_envs": 1,
        "train.collect_env_steps": 1,
        "train.updates_per_env_step": 1,
        "train.warmup_env_steps": 10_000,
        "agent.random_env_steps": 10_000,
        "agent.batch_size": 256,
        "agent.network.hidden_sizes": [256, 256],
        "agent.actor_optimizer.learning_rate": 3e-4,
        "agent.critic_optimizer.learning_rate": 3e-4,
        "agent.temperature": {"kind": "automatic", "optimizer": {"learning_rate": 3e-4}},
        "replay.capacity": 1_000_000,
        "replay.gamma": 0.99,
    },
    theirs={"learning_starts": 10_000},
)
"""Needs the package in plugins/rlplug-mujoco."""

MATCHES = {
    match.key: match for match in (PPO_CARTPOLE, SAC_PENDULUM, TD3_PENDULUM, SAC_HALFCHEETAH)
}
