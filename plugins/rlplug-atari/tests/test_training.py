"""Agents train on games, store frames once, and resume to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optree
import pytest

import rlplug
from rlplug.checkpoint import load_component, newest_checkpoint
from rlplug.cli.main import run
from rlplug.collect.local import LocalCollector
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.replay.config import ReplayConfig
from rlplug.replay.transitions import build_replay
from rlplug.seeding import Seeds
from rlplug_atari.config import AtariConfig
from rlplug_atari.plugin import environment

SMALL = {
    "evaluate": {"every_env_steps": 10_000, "final_episodes": 1, "num_envs": 1},
    "env": {"max_frames": 100},
    "launch": {"launcher": "local", "threads": 1},
    "tracking": {"console": "off"},
}


def test_dqn_trains_on_pong(tmp_path):
    result = rlplug.train(
        "dqn",
        "pong",
        steps=288,
        run_dir=tmp_path,
        replay={"capacity": 1000},
        train={"warmup_env_steps": 256},
        **SMALL,
    )
    lines = (result.run_dir / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    losses = [value for row in rows for name, value in row.items() if name.endswith("loss")]
    assert losses
    assert np.isfinite(losses).all()
    assert result.env_steps == 288
    assert len(result.evaluation.returns) == 1


def test_ppo_trains_on_breakout(tmp_path):
    result = rlplug.train(
        "ppo",
        "atari/breakout",
        steps=128,
        run_dir=tmp_path,
        train={"rollout_length": 8},
        **SMALL,
    )
    assert result.env_steps == 128
    assert result.evaluation.returns[0] >= 0


# Ray leaves sockets and files to the garbage collector when it starts and ends its processes
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_workers_of_ray_resolve_a_game_by_its_name(tmp_path):
    result = rlplug.train(
        "ape-x",
        "atari/pong",
        preset=None,
        workers=2,
        steps=96,
        run_dir=tmp_path,
        replay={"capacity": 1000},
        train={"warmup_env_steps": 64, "collect_env_steps": 16},
        agent={"batch_size": 8},
        **SMALL | {"launch": {"num_envs": 2}},
    )
    assert result.env_steps == 96
    assert len(result.evaluation.returns) == 1


def test_half_a_run_and_a_resume_make_the_whole_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = (
        "--preset zoo --env.sticky_actions 0.25 --env.max_frames 100 --replay.capacity 400 "
        "--train.warmup_env_steps 64 --launch.num_envs 2 --train.collect_env_steps 16 "
        "--agent.batch_size 8 --evaluate.final_episodes 1 --evaluate.num_envs 1 "
        "--evaluate.every_env_steps 1000 --tracking.tensorboard false --console off "
        "--launch.threads 1"
    )
    for steps in (160, 96):
        assert run(f"train dqn breakout {settings} --steps {steps}".split()) == 0
    whole, half = sorted(Path("runs").glob("*/*/*/"), key=lambda path: path.stat().st_ctime_ns)
    assert run(["train", "--resume", str(half), "--steps", "160"]) == 0
    left, right = (
        optree.tree_leaves(load_component(newest_checkpoint(run_dir), "agent"))
        for run_dir in (whole, half)
    )
    assert len(left) == len(right) > 10
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_stored_transition_costs_one_frame(random_policy):
    vector = make_vector(environment("pong"), AtariConfig(max_frames=1600), 2)
    adapter = StepAdapter(vector, name="pong")
    streams, capacity = np.arange(2), 1000
    replay = build_replay(
        ReplayConfig(capacity=capacity),
        observation_space=adapter.observation_space,
        action_space=adapter.action_space,
        num_streams=2,
        total_env_steps=capacity,
        seeds=Seeds(0),
        device="cpu",
        directory=None,
    )
    collector = LocalCollector(adapter, random_policy(2, 6), streams=streams, seeds=Seeds(0))
    for _ in range(9):
        (rollout,) = collector.collect(100)
        replay.add(rollout)
    (batch,) = replay.minibatches(1, 32)
    assert batch.observation.shape == (32, 4, 84, 84)
    assert len(replay) == 900
    assert 84 * 84 < replay.nbytes / capacity < 84 * 84 * 1.1
    collector.close()
