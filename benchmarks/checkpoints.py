"""Checkpoints: how long a save stops training, how much it writes, and how soon SIGTERM ends a run.

    python -m benchmarks.checkpoints [--saves 10] [--write docs/results/checkpoints.md]

A value network of 10 million parameters with its target and Adam's moments, and a replay of 100,000
Atari-shaped transitions (84 x 84, stacks of four, eight environments), filled and then running on
for 10,000 transitions between two saves. The parts are those of a run: its supervisor looks for
numbers that are not finite, its checkpoint store copies, a thread writes, `run.json` is replaced
when that is done. The run that gets SIGTERM is a whole one, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.checkpoint import CheckpointInfo, CheckpointStore
from rlplug.config import CheckpointConfig
from rlplug.data import Rollout
from rlplug.durable import replace_file
from rlplug.protocols import AgentContext
from rlplug.replay.config import ReplayConfig
from rlplug.replay.transitions import TransitionReplay, build_replay
from rlplug.resolve import resolve
from rlplug.seeding import Seeds
from rlplug.train.saving import Saving
from rlplug.train.supervisor import Supervisor

OBSERVATION = spaces.Box(0, 255, (4, 84, 84), np.uint8)
ACTION = spaces.Discrete(6)
NUM_ENVS, CAPACITY, BETWEEN = 8, 100_000, 10_000
HIDDEN = (3100,)
"""After the convolutions of Nature's network: 10 million parameters in all."""


NOTE = """\
Median and worst of all saves. Standing still is wall time; computing is what the training thread
takes of a processor for it. Where other work keeps the processors busy, the thread also waits for
one, and only the second says what a save costs.
"""
GRACE = """
## SIGTERM

A run of a small network with {steps:,} transitions in its replay, none of them on the disk yet,
ended {seconds:.1f} s after SIGTERM with exit code {code} and a checkpoint of {size:,.0f} MB, at a
load of {load:.1f}; schedulers give 30 s. Resumed, another process had made 800 more steps and ended
after {resumed:.1f} s.
"""
TRAIN = (
    "train dqn benchmarks.checkpoints:Screens --preset none --agent.network.encoder mlp "
    "--agent.network.encoder.hidden_sizes [16] --agent.network.hidden_sizes [16] "
    "--launch.num_envs 16 --train.collect_env_steps 64 --train.warmup_env_steps 1e7 --steps 2e7 "
    "--evaluate.final_episodes 1 --evaluate.num_envs 1 --env.max_episode_steps 200 "
    "--tracking.report_every_env_steps 4000 --tracking.tensorboard false --console off"
)
"""A network that acts fast. Its warm-up never ends: it is stopped when the replay is full."""


class Saved(NamedTuple):
    """One save."""

    stall: float
    """Wall seconds that training stood still, to begin it and when it was done."""
    cpu: float
    """Processor seconds that the training thread took for it."""
    background: float
    """Wall seconds until it was on the disk."""
    written: int
    """Bytes of new files."""
    total: int
    """Bytes of all files of the checkpoint."""


class Outputs:
    """As much of a run's outputs as a supervisor needs to save."""

    def __init__(self, folder: Path) -> None:
        store = CheckpointStore(
            folder, CheckpointConfig(keep_last=2, keep_best=False), logs=[folder / "metrics.jsonl"]
        )
        self.saving = Saving(store, CheckpointConfig(), saved=self._saved, warn=print)
        self.telling = (0.0, 0.0)
        """Wall and processor seconds for what a run does when one is done."""
        self._record = folder / "run.json"
        folder.mkdir()
        (folder / "metrics.jsonl").write_text("{}\n")

    def _saved(self, info: CheckpointInfo, _: Path) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        replace_file(self._record, info.model_dump_json().encode())
        self.telling = time.perf_counter() - wall, time.thread_time() - cpu

    def save(self, state: Any, *, env_steps: int, updates: int, mean_return: float | None) -> None:
        """Begin to write a checkpoint."""
        info = CheckpointInfo(env_steps=env_steps, updates=updates, mean_return=mean_return)
        self.saving.save(state, info)


def build_agent() -> DqnAgent:
    """An agent after an update, so that Adam has its moments."""
    overrides = {"agent.network.encoder": "nature-cnn", "agent.network.hidden_sizes": HIDDEN}
    config = resolve("dqn", "cartpole", preset=None, overrides=overrides).config
    agent = DqnAgent(config.agent, AgentContext(OBSERVATION, ACTION, 1_000_000, Seeds(0)))
    agent.optimizer.step(torch.stack([one.sum() for one in agent.online.parameters()]).sum())
    return agent


def build_rows() -> TransitionReplay:
    """An empty replay."""
    return build_replay(
        ReplayConfig(capacity=CAPACITY, frame_stack="unique"),
        observation_space=OBSERVATION,
        action_space=ACTION,
        num_streams=NUM_ENVS,
        total_env_steps=10 * CAPACITY,
        seeds=Seeds(0),
        device="cpu",
        directory=None,
    )


class Screens(gymnasium.Env[Any, Any]):
    """Stacks of noise, for a run."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    observation_space, action_space = OBSERVATION, ACTION

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """A stack of one screen."""
        super().reset(seed=seed, options=options)
        self.generator = np.random.default_rng(seed)
        self.stack = np.repeat(self._screen(), 4, axis=0)
        return self.stack, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """The next screen."""
        self.stack = np.concatenate([self.stack[1:], self._screen()])
        return self.stack, float(action == 0), False, False, {}

    def _screen(self) -> Any:
        return self.generator.integers(0, 255, (1, 84, 84), np.uint8)


class Player:
    """Plays frames of noise into a replay, in the stacks that Atari's environments show."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)
        self.stack = self.generator.integers(0, 255, (NUM_ENVS, 4, 84, 84), np.uint8)

    def fill(self, replay: TransitionReplay, transitions: int) -> None:
        """Add so many transitions."""
        for _ in range(transitions // (NUM_ENVS * 25)):
            replay.add(self.rollout(25))

    def rollout(self, num_steps: int) -> Rollout:
        """`[T, N]` steps of one long episode."""
        shown = []
        for _ in range(num_steps):
            shown.append(self.stack)
            frame = self.generator.integers(0, 255, (NUM_ENVS, 1, 84, 84), np.uint8)
            self.stack = np.concatenate([self.stack[:, 1:], frame], axis=1)
        false = np.zeros((num_steps, NUM_ENVS), np.bool_)
        return Rollout(
            observation=np.stack(shown),
            action=np.zeros((num_steps, NUM_ENVS), np.int64),
            reward=np.zeros((num_steps, NUM_ENVS), np.float32),
            terminated=false,
            episode_over=false,
            valid=~false,
            extras={},
            next_observation=self.stack,
            final_steps=np.zeros((0, 2), np.int64),
            final_observation=self.stack[:0],
            streams=np.arange(NUM_ENVS),
            weights_version=0,
            env_steps=0,
            episodes=(),
        )


def measure(
    agent: DqnAgent, replay: TransitionReplay | None, saves: int, folder: Path
) -> list[Saved]:
    """Save again and again, training (or playing) in between."""
    outputs, collector = Outputs(folder), SimpleNamespace(env_steps=0, state_dict=dict)
    config = SimpleNamespace(
        checkpoint=CheckpointConfig(),
        evaluate=SimpleNamespace(every_env_steps=1),
        tracking=SimpleNamespace(report_every_env_steps=1),
    )
    run: Any = SimpleNamespace(config=config, agent=agent, replay=replay, collector=collector)
    trainer: Any = SimpleNamespace(num_updates=0, state_dict=dict)
    supervisor = Supervisor(run, outputs, None, total_env_steps=100)  # type: ignore[arg-type]
    player, results = Player(), []
    if replay is not None:
        player.fill(replay, CAPACITY)
    for number in range(saves + 1):
        supervisor._env_steps = number  # the name of the folder
        wall, cpu = time.perf_counter(), time.thread_time()
        supervisor.save(trainer)
        stall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        outputs.saving.wait(must_succeed=True)
        background = time.perf_counter() - wall
        stall, cpu = stall + outputs.telling[0], cpu + outputs.telling[1]
        files = [file.stat() for file in outputs.saving.last.iterdir()]  # type: ignore[union-attr]
        written = sum(file.st_size for file in files if file.st_nlink == 1)
        total = sum(file.st_size for file in files)
        results.append(Saved(stall, cpu, background, written, total))
        if replay is not None:
            player.fill(replay, BETWEEN)
    return results


def row(name: str, saves: list[Saved]) -> str:
    """A line of the table."""

    def middle(field: str, scale: float) -> str:
        values = [getattr(save, field) * scale for save in saves]
        return f"{statistics.median(values):,.0f} | {max(values):,.0f}"

    cells = [middle("stall", 1e3), middle("cpu", 1e3), middle("background", 1e3)]
    cells += [f"{statistics.median(s.written for s in saves) / 1e6:,.0f}"]
    cells += [f"{statistics.median(s.total for s in saves) / 1e6:,.0f}"]
    return f"| {name} | {' | '.join(cells)} |"


def stop_a_run(folder: Path) -> str:
    """Send SIGTERM to a run whose replay is full, and resume it; what to write of it."""
    more = f"--replay.capacity {CAPACITY} --run-dir {folder}"
    rlplug = [sys.executable, "-m", "rlplug"]
    process = subprocess.Popen([*rlplug, *TRAIN.split(), *more.split()], stderr=subprocess.DEVNULL)
    try:
        steps = 0
        while steps < CAPACITY:
            time.sleep(0.5)
            assert process.poll() is None, "the run has ended"
            for rows in folder.rglob("metrics.jsonl"):
                steps = max([steps, *(json.loads(row)["env_steps"] for row in rows.open())])
        begin = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        code = process.wait()
        seconds, load = time.perf_counter() - begin, os.getloadavg()[0]
    finally:
        process.kill()
    (record,) = folder.rglob("run.json")
    steps = json.loads(record.read_text())["env_steps"]
    newest = max((record.parent / "checkpoints").iterdir())
    size = sum(file.stat().st_size for file in newest.iterdir()) / 1e6
    begin = time.perf_counter()
    again = ["train", "--resume", str(record.parent), "--steps", str(steps + 800), "--console=off"]
    subprocess.run([*rlplug, *again], check=True)
    resumed = time.perf_counter() - begin
    return GRACE.format(
        steps=CAPACITY, seconds=seconds, code=code, size=size, load=load, resumed=resumed
    )


def main() -> None:
    """Measure all and print or write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpoints", description=__doc__)
    parser.add_argument("--saves", type=int, default=10)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    agent = build_agent()
    size = sum(parameter.numel() for parameter in agent.online.parameters())
    lines = [
        "# Checkpoints",
        "",
        f"Made by `python -m benchmarks.checkpoints --saves {options.saves}`, one thread, "
        f"{os.cpu_count()} processors with a load of {os.getloadavg()[0]:.1f} before it.",
        "",
        "| what is saved | stands still, ms | worst | of that computing, ms | worst | until on "
        "disk, ms | worst | written, MB | checkpoint, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        first, *network = measure(agent, None, options.saves, Path(folder) / "network")
        lines.append(row(f"network of {size / 1e6:.1f} M parameters, first save", [first]))
        lines.append(row("the same, later saves", network))
        print(*lines, sep="\n", flush=True)
        first, *both = measure(agent, build_rows(), options.saves, Path(folder) / "replay")
        lines.append(row("with a full replay of 100,000 transitions, first save", [first]))
        lines.append(row("the same, 10,000 transitions later each", both))
        print(*lines[-2:], sep="\n", flush=True)
        text = "\n".join(lines) + f"\n\n{NOTE}{stop_a_run(Path(folder) / 'run')}"
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
