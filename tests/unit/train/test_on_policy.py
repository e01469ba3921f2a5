"""The on-policy loop, told by a tape of every call to its parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rlplug.data import Rollout, UpdateResult
from rlplug.train.config import OnPolicyConfig
from rlplug.train.context import RunContext
from rlplug.train.on_policy import OnPolicyTrainer

if TYPE_CHECKING:
    from collections.abc import Iterator

Tape = list[str]


class FakeCollector:
    """Environment n ends an episode every `lengths[n]` steps."""

    restarted = np.empty(0, np.int64)

    def __init__(self, tape: Tape, lengths: tuple[int, ...]) -> None:
        self.tape, self.lengths, self.env_steps = tape, np.array(lengths), 0

    def collect(self, num_env_steps: int) -> list[Rollout]:
        num_envs = len(self.lengths)
        rows = -(-num_env_steps // num_envs)
        step = self.env_steps // num_envs + np.arange(rows)[:, None]
        over = (step + 1) % self.lengths == 0
        shape = (rows, num_envs)
        self.env_steps += rows * num_envs
        self.tape.append(f"collect {num_env_steps} -> {self.env_steps}")
        finals = np.argwhere(over)
        rollout = Rollout(
            observation=np.broadcast_to(step, shape).astype(np.float32),
            action=np.zeros(shape, np.int64),
            reward=np.ones(shape, np.float32),
            terminated=over,
            episode_over=over,
            valid=np.ones(shape, bool),
            extras={},
            next_observation=np.full(num_envs, step[-1, 0] + 1, np.float32),
            final_steps=finals,
            final_observation=np.zeros(len(finals), np.float32),
            streams=np.arange(num_envs),
            weights_version=0,
            env_steps=self.env_steps,
            episodes=(),
        )
        return [rollout]

    def set_weights(self, weights: Any, version: int) -> None:
        self.tape.append(f"weights {version}")


class FakeAgent:
    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.learned_from: list[np.ndarray[Any, Any]] = []

    def set_progress(self, env_steps: int) -> None:
        self.tape.append(f"progress {env_steps}")

    def minibatches(self, rollouts: list[Rollout]) -> Iterator[str]:
        rows = sum(rollout.num_env_steps for rollout in rollouts)
        self.learned_from += [r.observation[r.valid] for r in rollouts]
        for name in ("first", "second"):
            yield f"{name} of {rows}"
        self.tape.append("statistics")

    def update(self, batch: str) -> UpdateResult:
        self.tape.append(f"update on {batch}")
        return UpdateResult({"loss": 0.0})  # type: ignore[dict-item]

    def policy_weights(self) -> dict[str, Any]:
        return {}


class FakeSupervisor:
    stop_reason: str | None = None

    def __init__(self, tape: Tape, stop_after: int | None = None) -> None:
        self.tape, self.stop_after, self.iterations = tape, stop_after, 0

    def record(self, metrics: Any) -> None:
        assert metrics == {"loss": 0.0}

    def record_episodes(self, episodes: Any) -> None:
        pass

    def iteration_ended(self, trainer: OnPolicyTrainer) -> None:
        self.iterations += 1
        self.tape.append(f"iteration ended, {trainer.num_updates} updates")
        if self.iterations == self.stop_after:
            self.stop_reason = "a hook said so"


def make_trainer(
    tape: Tape, *lengths: int, stop_after: int | None = None, **settings: Any
) -> OnPolicyTrainer:
    config = SimpleNamespace(
        train=OnPolicyConfig(**settings), launch=SimpleNamespace(total_envs=len(lengths))
    )
    run = RunContext(
        config=config,  # type: ignore[arg-type]
        agent=FakeAgent(tape),  # type: ignore[arg-type]
        policy=None,  # type: ignore[arg-type]
        collector=FakeCollector(tape, lengths),  # type: ignore[arg-type]
        replay=None,
        evaluate=None,  # type: ignore[arg-type]
    )
    return OnPolicyTrainer(run, FakeSupervisor(tape, stop_after))  # type: ignore[arg-type]


def test_the_loop_collects_learns_and_publishes_in_this_order() -> None:
    tape: Tape = []
    make_trainer(tape, 9, 9, steps=14, rollout_length=5).run()
    assert tape == [
        "progress 0",
        "collect 10 -> 10",
        "update on first of 10",
        "update on second of 10",
        "statistics",
        "weights 2",
        "iteration ended, 2 updates",
        "progress 10",
        "collect 4 -> 14",
        "update on first of 4",
        "update on second of 4",
        "statistics",
        "weights 4",
        "iteration ended, 4 updates",
    ]


@pytest.mark.parametrize("num_envs", [1, 3, 8])
@pytest.mark.parametrize("rollout_length", [1, 7, 64])
def test_a_run_ends_at_its_steps_rounded_up_to_a_whole_vector_step(
    num_envs: int, rollout_length: int
) -> None:
    trainer = make_trainer([], *[9] * num_envs, steps=200, rollout_length=rollout_length)
    trainer.run()
    assert trainer.parts.collector.env_steps == -(-200 // num_envs) * num_envs


def test_a_stop_reason_ends_the_loop_after_its_iteration() -> None:
    tape: Tape = []
    make_trainer(tape, 9, steps=100, rollout_length=2, stop_after=2).run()
    assert tape[-1] == "iteration ended, 4 updates"


def test_whole_episodes_are_waited_for_in_every_environment() -> None:
    tape: Tape = []
    make_trainer(tape, 3, 8, steps=24, rollout_length=4, whole_episodes=True).run()
    assert tape[:6] == [
        "progress 0",
        "collect 8 -> 8",  # the second environment is in the middle of its episode
        "collect 8 -> 16",
        "update on first of 14",  # 6 rows of the first environment and 8 of the second
        "update on second of 14",
        "statistics",
    ]
    # the second environment has not ended a second episode when the run does
    assert tape[-6:-3] == ["collect 8 -> 24", "update on first of 6", "update on second of 6"]


def test_every_transition_of_a_finished_episode_is_learned_from_once() -> None:
    trainer = make_trainer([], 3, 8, 5, steps=3 * 61, rollout_length=4, whole_episodes=True)
    trainer.run()
    seen = np.concatenate(trainer.agent.learned_from)  # type: ignore[attr-defined]
    times, counts = np.unique(seen, return_counts=True)
    assert times.max() == 59
    # finished by step 61: 60 rows of the first, 56 of the second, 60 of the third
    expected = [3 if time < 56 else 2 for time in range(60)]
    assert counts.tolist() == expected


def test_no_finished_episode_means_no_update() -> None:
    tape: Tape = []
    make_trainer(tape, 99, steps=6, rollout_length=2, whole_episodes=True).run()
    assert [line for line in tape if "update on" in line or "weights" in line] == []


def test_counters_and_waiting_episodes_survive_saving() -> None:
    def settings() -> dict[str, Any]:
        return {"steps": 60, "rollout_length": 3, "whole_episodes": True}

    trainer, other = (make_trainer([], 4, 7, **settings()) for _ in range(2))
    trainer.supervisor.stop_after = 2  # type: ignore[attr-defined]
    trainer.run()
    other.load_state_dict(trainer.state_dict())
    other.parts.collector.env_steps = trainer.parts.collector.env_steps
    trainer.supervisor.stop_reason = None
    already = len(trainer.agent.learned_from)  # type: ignore[attr-defined]
    for each in (trainer, other):
        each.run()
    assert other.num_updates == trainer.num_updates
    left = trainer.agent.learned_from[already:]  # type: ignore[attr-defined]
    right = other.agent.learned_from  # type: ignore[attr-defined]
    for mine, theirs in zip(left, right, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_waiting_rows_of_an_environment_that_was_restarted_are_dropped() -> None:
    settings: dict[str, Any] = {"steps": 100, "rollout_length": 3, "whole_episodes": True}
    trainer = make_trainer([], 3, 7, stop_after=1, **settings)
    trainer.run()  # 9 vector steps: 2 rows of the second environment wait
    resumed = make_trainer([], 3, 7, stop_after=1, **settings)
    resumed.parts.collector.restarted = np.array([1])
    resumed.load_state_dict(trainer.state_dict())
    resumed.parts.collector.env_steps = trainer.parts.collector.env_steps
    resumed.run()
    (learned,) = resumed.agent.learned_from  # type: ignore[attr-defined]
    times, counts = np.unique(learned, return_counts=True)
    of_second = times[counts == 2].tolist()
    assert min(of_second) == 9  # not 7, where its episode began


def test_nothing_is_warmed_up_again() -> None:
    tape: Tape = []
    trainer = make_trainer(tape, 9, steps=4, rollout_length=2)
    trainer.warm_up_again()
    trainer.run()
    assert tape[1] == "collect 2 -> 2"
