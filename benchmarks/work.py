"""The work that every system is given: the same environment, network, data and update rate."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from benchmarks.peer_suites import PPO_CARTPOLE, SAC_HALFCHEETAH, Match, decay

CARTPOLE, IMAGES, HALFCHEETAH = (4,), (4, 84, 84), (17,)
"""Shapes of an observation; three axes are an image of bytes."""


class Arithmetic(NamedTuple):
    """What bare torch repeats on fixed data, as the limit of a work."""

    hidden_sizes: tuple[int, ...]
    batch_size: int
    learning_rate: float
    num_envs: int
    collect_env_steps: int
    updates_per_iteration: int
    shape: tuple[int, ...] = CARTPOLE
    """Of an observation."""
    updates: int = 2_000
    """To be made, or one iteration if that is more."""


class TargetCopy(NamedTuple):
    """How often weights are copied to the target.

    We count updates, the peer environment steps: one that counts fewer than it collects at once
    copies before each burst of updates, and never within.
    """

    every_updates: int
    every_env_steps: int


class Work(NamedTuple):
    """One training run, twice: by us and by the peer."""

    name: str
    match: Match
    limit: Arithmetic
    policy: str = "MlpPolicy"
    """Theirs."""
    variants: tuple[str, ...] = ()
    """Of `VARIANTS`, those that have a row of their own on every device."""
    threads: str = ""
    """Another number of ours than `auto` takes; empty is one for each core."""


def _dqn(
    name: str,
    arithmetic: Arithmetic,
    *,
    env_steps: int,
    capacity: int,
    warmup_env_steps: int,
    target_copy: TargetCopy,
    n_step: int = 1,
    target_update_rate: float = 1.0,
) -> Work:
    """DQN on CartPole-v1; updates follow each `collect_env_steps`."""
    first, *rest = arithmetic.hidden_sizes
    updates, collected = arithmetic.updates_per_iteration, arithmetic.collect_env_steps
    match = Match(
        algorithm="dqn",
        environment="cartpole",
        gymnasium_id="CartPole-v1",
        env_steps=env_steps,
        num_envs=arithmetic.num_envs,
        ours={
            "agent.batch_size": arithmetic.batch_size,
            "agent.optimizer.learning_rate": arithmetic.learning_rate,
            "agent.optimizer.max_gradient_norm": 10.0,
            "agent.target_update_every_updates": target_copy.every_updates,
            "agent.target_update_rate": target_update_rate,
            "agent.network.encoder": {"kind": "mlp", "hidden_sizes": [first]},
            "agent.network.hidden_sizes": rest,
            "agent.exploration.epsilon": {
                "kind": "linear", "start": 1.0, "end": 0.04, "fraction": 0.16,
            },
            "replay.capacity": capacity,
            "replay.n_step": n_step,
            "launch.num_envs": arithmetic.num_envs,
            "train.warmup_env_steps": warmup_env_steps,
            "train.collect_env_steps": collected,
            "train.updates_per_env_step": updates / collected,
        },
        theirs={
            "learning_rate": arithmetic.learning_rate,
            "batch_size": arithmetic.batch_size,
            "buffer_size": capacity,
            "learning_starts": warmup_env_steps,
            "train_freq": collected // arithmetic.num_envs,
            "gradient_steps": updates,
            "target_update_interval": target_copy.every_env_steps,
            "tau": target_update_rate,
            "n_steps": n_step,
            "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04,
            "policy_kwargs": {"net_arch": list(arithmetic.hidden_sizes)},
        },
    )  # fmt: skip
    return Work(name, match, arithmetic)


PPO_BREAKOUT = Match(
    algorithm="ppo",
    environment="atari/breakout",
    gymnasium_id="BreakoutNoFrameskip-v4",
    simulator="ale-py",
    env_steps=8_192,
    num_envs=8,
    ours={
        "launch.num_envs": 8,
        "env.fire_on_reset": True,
        "env.episodic_life": True,
        "env.max_frames": 4_000,  # a greedy policy that has learned little plays on for ever
        "train.rollout_length": 128,
        "agent.batch_size": 256,
        "agent.epochs": 4,
        "agent.reward.clip": 1,
        "agent.entropy_coefficient": 0.01,
        "agent.network.trunk_sizes": [512],
        "agent.network.hidden_sizes": [],
        "agent.network.activation": "relu",
        "agent.objective": {
            "kind": "clipped",
            "clip_ratio": {"kind": "linear", "start": 0.1, "end": 0},
        },
        "agent.optimizer.learning_rate": 2.5e-4,
        "agent.optimizer.decay": "linear",
    },
    theirs={
        "n_steps": 128,
        "batch_size": 256,
        "n_epochs": 4,
        "ent_coef": 0.01,
        "learning_rate": decay(2.5e-4),
        "clip_range": decay(0.1),
    },
)
DQN_BREAKOUT = Match(
    algorithm="dqn",
    environment="atari/breakout",
    gymnasium_id="BreakoutNoFrameskip-v4",
    simulator="ale-py",
    env_steps=4_000,
    ours={
        "launch.num_envs": 1,
        "env.fire_on_reset": True,
        "env.episodic_life": True,
        "env.max_frames": 4_000,  # a greedy policy that has learned little plays on for ever
        "replay.capacity": 10_000,
        "replay.reward.clip": 1,
        "train.warmup_env_steps": 500,
        "train.collect_env_steps": 4,
        "train.updates_per_env_step": 0.25,
        "agent.batch_size": 32,
        "agent.optimizer.learning_rate": 1e-4,
        "agent.optimizer.max_gradient_norm": 10.0,
        "agent.target_update_every_updates": 250,
        "agent.target_update_rate": 1.0,
        "agent.network.hidden_sizes": [512],
    },
    theirs={
        "learning_rate": 1e-4,
        "batch_size": 32,
        "buffer_size": 10_000,
        "learning_starts": 500,
        "train_freq": 4,
        "gradient_steps": 1,
        "target_update_interval": 1_000,
    },
)
WARMUP = 1_000
SHORT_HALFCHEETAH = replace(
    SAC_HALFCHEETAH,
    env_steps=5_000,
    ours=SAC_HALFCHEETAH.ours
    | {"train.warmup_env_steps": WARMUP, "agent.random_env_steps": WARMUP},
    theirs={"learning_starts": WARMUP},
)

VARIANTS = {
    "": {},
    "bfloat16": {"agent.network.precision": "bfloat16"},
    "compiled": {"agent.network.compile": True},
}
"""Of ours: what each sets."""

WORK = {
    "preset": _dqn(
        "DQN CartPole-v1 as in rlplug's preset: 8 environments, 16 updates of batch 128 every "
        "64 steps, sixteen-step returns, slow target, MLP 128-128",
        Arithmetic((128, 128), 128, 4e-3, 8, 64, 16),
        env_steps=20_480,
        capacity=100_000,
        warmup_env_steps=1_000,
        target_copy=TargetCopy(every_updates=1, every_env_steps=1),
        n_step=16,
        target_update_rate=0.02,
    ),
    "W1": _dqn(
        "DQN CartPole-v1, 128 updates of batch 64 every 256 steps, MLP 256-256",
        Arithmetic((256, 256), 64, 2.3e-3, 1, 256, 128),
        env_steps=20_480,
        capacity=100_000,
        warmup_env_steps=1_000,
        target_copy=TargetCopy(every_updates=128, every_env_steps=10),
    ),
    "W1j": _dqn(
        "DQN CartPole-v1, 1 update of batch 32 per step, MLP 512-512",
        Arithmetic((512, 512), 32, 1e-4, 1, 1, 1),
        env_steps=6_000,
        capacity=50_000,
        warmup_env_steps=2_000,
        target_copy=TargetCopy(every_updates=500, every_env_steps=500),
    ),
    "W2": Work(
        "PPO CartPole-v1, 8 environments of 32 steps, 20 epochs of batch 256, MLPs 64-64",
        PPO_CARTPOLE,
        Arithmetic((64, 64), 256, 1e-3, 8, 256, 20),
    ),
    "W3": Work(
        "PPO Breakout, 8 environments of 128 steps, 4 epochs of minibatches of 256, Nature CNN",
        PPO_BREAKOUT,
        Arithmetic((512,), 256, 2.5e-4, 8, 1_024, 16, shape=IMAGES, updates=32),
        policy="CnnPolicy",
        variants=("bfloat16",),
        threads="1",
    ),
    "W4": Work(
        "DQN Breakout, one update of batch 32 every 4 steps, Nature CNN",
        DQN_BREAKOUT,
        Arithmetic((512,), 32, 1e-4, 1, 4, 1, shape=IMAGES, updates=300),
        policy="CnnPolicy",
        variants=("bfloat16",),
        threads="1",
    ),
    "W5": Work(
        "SAC HalfCheetah-v5, one update of batch 256 per step, MLPs 256-256",
        SHORT_HALFCHEETAH,
        Arithmetic((256, 256), 256, 3e-4, 1, 1, 1, shape=HALFCHEETAH, updates=1_000),
        variants=("bfloat16",),
    ),
}
"""By the name that the command takes; those of Atari and MuJoCo need the package for it."""
