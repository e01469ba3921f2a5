"""The off-policy loop, told by a tape of every call to its parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rlplug.data import UpdateResult
from rlplug.train.config import OffPolicyConfig
from rlplug.train.context import RunContext
from rlplug.train.off_policy import OffPolicyTrainer

Tape = list[str]


class FakeCollector:
    def __init__(self, tape: Tape, num_envs: int) -> None:
        self.tape, self.num_envs, self.env_steps = tape, num_envs, 0

    def collect(self, num_env_steps: int) -> list[Any]:
        self.env_steps += -(-num_env_steps // self.num_envs) * self.num_envs
        self.tape.append(f"collect {num_env_steps} -> {self.env_steps}")
        return [SimpleNamespace(episodes=())]

    def set_weights(self, weights: Any, version: int) -> None:
        self.tape.append(f"weights {version}")


class FakeReplay:
    def __init__(self, tape: Tape) -> None:
        self.tape, self.size = tape, 0

    def add(self, rollout: Any) -> None:
        self.size += 1
        self.tape.append("add")

    def set_progress(self, env_steps: int) -> None:
        pass

    def minibatches(self, count: int, batch_size: int) -> Any:
        for number in range(count):
            yield SimpleNamespace(replay_index=f"batch {number}")

    def update_priorities(self, replay_index: str, priorities: Any) -> None:
        self.tape.append(f"priorities of {replay_index}")

    def __len__(self) -> int:
        return self.size


class FakeAgent:
    def __init__(self, tape: Tape, *, prioritised: bool) -> None:
        self.tape, self.prioritised = tape, prioritised

    def set_progress(self, env_steps: int) -> None:
        pass

    def update(self, batch: Any) -> UpdateResult:
        self.tape.append(f"update on {batch.replay_index}")
        return UpdateResult({}, "new" if self.prioritised else None)  # type: ignore[arg-type]

    def policy_weights(self) -> dict[str, Any]:
        return {}


class FakeSupervisor:
    stop_reason: str | None = None

    def __init__(self, tape: Tape, stop_after: int | None = None) -> None:
        self.tape, self.stop_after, self.iterations = tape, stop_after, 0

    def record(self, metrics: Any) -> None:
        pass

    def record_episodes(self, episodes: Any) -> None:
        pass

    def iteration_ended(self, trainer: OffPolicyTrainer) -> None:
        self.iterations += 1
        self.tape.append(f"iteration ended, {trainer.num_updates} updates")
        if self.iterations == self.stop_after:
            self.stop_reason = "a hook said so"


def make_trainer(
    tape: Tape,
    *,
    num_envs: int = 1,
    prioritised: bool = False,
    stop_after: int | None = None,
    **settings: Any,
) -> OffPolicyTrainer:
    train = OffPolicyConfig(**settings)
    config = SimpleNamespace(train=train, agent=SimpleNamespace(batch_size=2))
    run = RunContext(
        config=config,  # type: ignore[arg-type]
        agent=FakeAgent(tape, prioritised=prioritised),  # type: ignore[arg-type]
        policy=None,  # type: ignore[arg-type]
        collector=FakeCollector(tape, num_envs),  # type: ignore[arg-type]
        replay=FakeReplay(tape),
        evaluate=None,  # type: ignore[arg-type]
    )
    return OffPolicyTrainer(run, FakeSupervisor(tape, stop_after))  # type: ignore[arg-type]


def test_the_loop_collects_updates_and_writes_priorities_in_this_order() -> None:
    tape: Tape = []
    trainer = make_trainer(
        tape,
        prioritised=True,
        steps=6,
        collect_env_steps=2,
        warmup_env_steps=2,
        updates_per_env_step=1.0,
    )
    trainer.run()
    assert tape == [
        "collect 2 -> 2",
        "add",
        "iteration ended, 0 updates",
        "collect 2 -> 4",
        "add",
        "update on batch 0",
        "priorities of batch 0",
        "update on batch 1",
        "priorities of batch 1",
        "weights 2",
        "iteration ended, 2 updates",
        "collect 2 -> 6",
        "add",
        "update on batch 0",
        "priorities of batch 0",
        "update on batch 1",
        "priorities of batch 1",
        "weights 4",
        "iteration ended, 4 updates",
    ]


@pytest.mark.parametrize("num_envs", [1, 3, 8])
@pytest.mark.parametrize("collect_env_steps", [1, 7, 64])
@pytest.mark.parametrize("rate", [0.25, 0.3, 1.0, 2.5])
def test_updates_made_follow_from_the_step_count_alone(
    num_envs: int, collect_env_steps: int, rate: float
) -> None:
    trainer = make_trainer(
        [],
        num_envs=num_envs,
        steps=200,
        collect_env_steps=collect_env_steps,
        warmup_env_steps=50,
        updates_per_env_step=rate,
    )
    trainer.run()
    env_steps = trainer.parts.collector.env_steps
    assert 200 <= env_steps < 200 + num_envs
    assert trainer.num_updates == int((env_steps - 50) * rate)


def test_the_last_iteration_collects_no_more_than_is_left() -> None:
    tape: Tape = []
    make_trainer(tape, steps=5, collect_env_steps=4, warmup_env_steps=99).run()
    assert [line for line in tape if line.startswith("collect")] == [
        "collect 4 -> 4",
        "collect 1 -> 5",
    ]


def test_a_stop_reason_ends_the_loop_after_its_iteration() -> None:
    tape: Tape = []
    make_trainer(tape, steps=100, collect_env_steps=1, warmup_env_steps=99, stop_after=2).run()
    assert tape[-1] == "iteration ended, 0 updates"
    assert len([line for line in tape if line.startswith("collect")]) == 2


def test_a_run_resumed_without_its_replay_warms_up_again_and_keeps_its_rate() -> None:
    tape: Tape = []
    trainer = make_trainer(
        tape, steps=300, collect_env_steps=10, warmup_env_steps=50, updates_per_env_step=0.5
    )
    trainer.parts.collector.env_steps = 100
    trainer.num_updates = 25
    trainer.warm_up_again()
    trainer.run()
    first_update = next(i for i, line in enumerate(tape) if line.startswith("update"))
    assert tape[:first_update].count("add") == 6  # 160 steps: the first above 150
    assert trainer.num_updates == 25 + int((300 - 150) * 0.5)


def test_counters_survive_saving() -> None:
    trainer = make_trainer([], steps=90, warmup_env_steps=10, updates_per_env_step=1.0)
    trainer.run()
    other = make_trainer([], steps=90, warmup_env_steps=10, updates_per_env_step=1.0)
    other.load_state_dict(trainer.state_dict())
    assert other.state_dict() == trainer.state_dict()
    assert other.num_updates == 80


def test_a_trainer_without_replay_is_refused_in_words() -> None:
    run = RunContext(*[None] * 6)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="replay_config"):
        OffPolicyTrainer(run, None)  # type: ignore[arg-type]
