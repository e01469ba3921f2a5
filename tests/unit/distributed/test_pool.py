"""Workers that end, hang or raise: replaced, named, counted."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlplug.distributed import pool as pools
from rlplug.errors import ConfigError, EnvironmentFaultError, PluginError, WorkerError

LIMIT = {"launch.max_restarts": 2}
MODES = pytest.mark.parametrize("mode", ["sync", "async"])


def losing(crew: Any, number: int, at: int) -> None:
    """Let a worker end in the middle of its collect number `at`."""

    def before_call(worker: Any, method: str) -> None:
        if (worker.number, method, worker.done.count("collect")) == (number, "collect", at):
            crew.engine.lose(worker)

    crew.engine.before_call = before_call


def collected(crew: Any, steps: int) -> list[Any]:
    rollouts: list[Any] = []
    while crew.collector.env_steps < steps:
        rollouts += crew.collector.collect(min(10, steps - crew.collector.env_steps))
    return rollouts


@MODES
def test_a_lost_worker_is_replaced_and_steps_are_counted_once(
    crew: Any, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = crew(2, mode=mode, **{"train.steps": 100})
    losing(one, number=1, at=2)
    rollouts = collected(one, 100)
    assert one.collector.env_steps == sum(each.num_env_steps for each in rollouts) == 100
    assert one.collector.metrics()["worker_restarts"] == 1
    (record,) = caplog.records
    assert "Worker 1 (pid" in record.getMessage()
    assert "its process was killed" in record.getMessage()
    assert "(1 of at most 20)" in record.getMessage()


@MODES
def test_what_a_replacement_collects_is_not_joined_to_what_was_before(crew: Any, mode: str) -> None:
    one = crew(2, mode=mode, **{"train.steps": 200})
    losing(one, number=1, at=2)
    of_lost = [each for each in collected(one, 200) if each.streams[0] == 1]
    assert [each.is_restart for each in of_lost].count(True) == 1
    first = next(each for each in of_lost if each.is_restart)
    before = of_lost[[each.is_restart for each in of_lost].index(True) - 1]
    assert not np.array_equal(first.observation[0], before.next_observation)


def test_a_replacement_draws_from_generators_of_its_own(crew: Any) -> None:
    one = crew(1)
    losing(one, number=0, at=1)
    first, second = (one.collector.collect(20)[0] for _ in range(2))
    assert second.is_restart
    assert not np.array_equal(first.observation[0], second.observation[0])


@MODES
def test_one_loss_too_many_ends_the_run_with_what_it_has(crew: Any, mode: str) -> None:
    one = crew(1, mode=mode, **LIMIT)
    one.engine.before_call = lambda worker, method: (
        one.engine.lose(worker) if method == "collect" else None
    )
    with pytest.raises(WorkerError, match=r"2 workers were before \(launch.max_restarts\)") as info:
        one.collector.collect(10)
    assert info.value.is_resumable
    assert one.collector.env_steps == 0
    assert one.collector.state_dict()["env_steps"] == 0


class Raising(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Raises at a step of its own count."""

    def __init__(self, after: int) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.after = after
        self.steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps > self.after:
            raise ZeroDivisionError("the simulator broke")
        return self.env.step(action)


@MODES
def test_an_environment_that_raises_is_rebuilt_and_then_ends_the_run(
    crew: Any, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = crew(1, environment=Raising, mode=mode, **LIMIT, **{"env.kwargs": {"after": 25}})
    with pytest.raises(EnvironmentFaultError) as info:
        collected(one, 1000)
    assert info.value.is_resumable
    assert info.value.exit_code == 4
    message = str(info.value)
    assert "Worker 0 (pid" in message
    assert "ZeroDivisionError: the simulator broke" in message
    assert "seed" in message
    assert "step 26" in message
    assert "launch.max_restarts" in message
    assert "in step" in str(info.value.__cause__)  # the traceback, as text
    warned = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 2
    assert all('raise ZeroDivisionError("the simulator broke")' in text for text in warned)


def test_an_environment_that_cannot_be_built_ends_the_run_at_once(crew: Any) -> None:
    with pytest.raises(ConfigError, match=r"Worker 0: .*missing a required argument: 'after'"):
        crew(1, environment=Raising, **{"env.kwargs": {"nonsense": 1}})


def test_a_plugin_that_is_not_there_is_a_plugin_error(
    crew: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise PluginError("'x' is not installed")

    monkeypatch.setattr("rlplug.distributed.worker.resolve_here", broken)
    with pytest.raises(PluginError, match="Worker 0: 'x' is not installed"):
        crew(1)


def test_what_a_new_worker_would_do_again_is_told_at_once(
    crew: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = crew(1)
    monkeypatch.setattr("rlplug.collect.local.LocalCollector.collect", lambda *_: 1 / 0)
    with pytest.raises(WorkerError, match="raised ZeroDivisionError") as info:
        one.collector.collect(1)
    assert "Traceback" in str(info.value)


def test_other_versions_are_refused_with_both_named(
    crew: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = pools.versions
    monkeypatch.setattr(pools, "versions", lambda resolved: ours(resolved) | {"torch": "1.0"})
    with pytest.raises(ConfigError, match=r"torch \S+ there and 1.0 here.*Install the same"):
        crew(1)


def test_workers_that_do_not_come_are_not_waited_for_for_ever(
    crew: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker_world import InlineEngine

    monkeypatch.setattr(InlineEngine, "wait", lambda *_: [])
    with pytest.raises(WorkerError, match=r"0 of 2 workers were ready after 0.05 seconds"):
        crew(2, **{"launch.start_timeout_seconds": 0.05})


def test_the_others_collect_while_a_replacement_starts(crew: Any) -> None:
    one = crew(2)
    losing(one, number=1, at=1)
    one.collector.collect(10)
    one.engine.frozen = {2}  # the third worker stands for the second, and is not there yet
    rollouts = one.collector.collect(10)
    assert one.collector.env_steps == 20
    assert {int(each.streams[0]) for each in rollouts} == {0}
    one.engine.frozen = set()
    one.collector.collect(10)
    assert {int(each.streams[0]) for each in one.collector.collect(10)} == {0, 1}


def test_a_worker_that_stays_silent_is_named_and_then_ended(
    crew: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = crew(1, **{"launch.env_timeout_seconds": 10})
    one.collector.collect(4)
    one.engine.frozen = {0}
    clock = iter(range(0, 10_000, 5))
    monkeypatch.setattr(pools.time, "monotonic", lambda: float(next(clock)))
    one.collector.collect(4)
    silent, replaced = (each.getMessage() for each in caplog.records)
    assert "Worker 0 (pid" in silent
    assert "has not answered for" in silent
    assert "4 steps of its environments" in silent
    assert "replaced" in replaced


@MODES
def test_state_is_there_while_a_worker_is_replaced(crew: Any, mode: str) -> None:
    one = crew(2, mode=mode, **{"train.steps": 1000})
    losing(one, number=1, at=1)
    one.collector.collect(40)
    one.engine.frozen = {2}
    one.collector.collect(40)
    state = one.collector.state_dict()
    other = crew(2, mode=mode)
    other.collector.load_state_dict(state)
    expected = [1] if mode == "sync" else [0, 1]
    assert other.collector.restarted.tolist() == expected


def test_state_is_there_when_a_fault_ends_the_run_while_others_have_an_answer(crew: Any) -> None:
    one = crew(2, environment=Raising, **{"launch.max_restarts": 0, "env.kwargs": {"after": 25}})
    with pytest.raises(EnvironmentFaultError):
        collected(one, 1000)
    assert one.pool.places[1].calls  # its rollout, or its own fault, that nobody will take
    state = one.collector.state_dict()
    assert state["env_steps"] == one.collector.env_steps > 0
    assert state["workers"] == [None, None]


def test_closing_leaves_no_worker(crew: Any) -> None:
    one = crew(2)
    one.collector.collect(2)
    one.collector.close()
    assert not any(worker.is_alive for worker in one.engine.workers)
    assert [worker.done[-1] for worker in one.engine.workers] == ["close", "close"]
