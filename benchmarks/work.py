"""The work that every system is given: the same environment, network, replay and update rate."""

from __future__ import annotations

from typing import NamedTuple


class DqnWork(NamedTuple):
    """One DQN training run on CartPole-v1."""

    name: str
    env_steps: int
    learning_rate: float
    batch_size: int
    capacity: int
    warmup_env_steps: int
    collect_env_steps: int
    updates_per_iteration: int
    target_update_every_updates: int
    hidden_sizes: tuple[int, ...]
    num_envs: int = 1
    n_step: int = 1
    target_update_rate: float = 1.0


WORK = {
    "preset": DqnWork(
        name="DQN CartPole-v1 as in rlplug's preset: 8 environments, 32 updates of batch 64 every "
        "64 steps, three-step returns, slow target, MLP 256-256",
        env_steps=20_480,
        learning_rate=1e-3,
        batch_size=64,
        capacity=100_000,
        warmup_env_steps=1_000,
        collect_env_steps=64,
        updates_per_iteration=32,
        target_update_every_updates=1,
        hidden_sizes=(256, 256),
        num_envs=8,
        n_step=3,
        target_update_rate=0.01,
    ),
    "W1": DqnWork(
        name="DQN CartPole-v1, 128 updates of batch 64 every 256 steps, MLP 256-256",
        env_steps=20_480,
        learning_rate=2.3e-3,
        batch_size=64,
        capacity=100_000,
        warmup_env_steps=1_000,
        collect_env_steps=256,
        updates_per_iteration=128,
        target_update_every_updates=10,
        hidden_sizes=(256, 256),
    ),
    "W1j": DqnWork(
        name="DQN CartPole-v1, 1 update of batch 32 per step, MLP 512-512",
        env_steps=6_000,
        learning_rate=1e-4,
        batch_size=32,
        capacity=50_000,
        warmup_env_steps=2_000,
        collect_env_steps=1,
        updates_per_iteration=1,
        target_update_every_updates=500,
        hidden_sizes=(512, 512),
    ),
}
