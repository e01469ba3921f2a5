"""Evaluation in a process of its own, while training goes on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from worker_world import InlineEngine

from rlplug.distributed.plan import plan_of
from rlplug.errors import EnvironmentFaultError, WorkerError
from rlplug.resolve import resolve
from rlplug.train.beside import MOST_WAITING, EvaluationBeside
from rlplug.train.build import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Scene:
    """A run, and what evaluates it beside."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        small = {"agent.network.hidden_sizes": [8], "evaluate.num_envs": 2} | settings
        resolved = resolve("dqn", "cartpole", preset=None, overrides=small, device="cpu")
        self.run = build(resolved, folder)
        self.engine = InlineEngine()
        plan = plan_of(resolved, total_env_steps=100_000, scratch=self.engine.scratch)
        self.beside = EvaluationBeside(self.engine, plan, self.run.agent)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.beside.close()
    made.beside.close()
    made.engine.close()
    made.run.close()


def test_it_plays_the_episodes_that_would_be_played_inline(scene: Scene) -> None:
    report = scene.beside(5, 700)
    inline = scene.run.evaluate(5, 700)  # type: ignore[operator]
    assert report.returns == inline.returns
    assert report.lengths == inline.lengths


def test_training_goes_on_and_the_weights_are_those_of_the_moment(scene: Scene) -> None:
    expected = scene.run.evaluate(3, 100)  # type: ignore[operator]
    scene.beside.begin(3, 100, 7)
    assert scene.beside.finished() == []  # nobody has waited for it
    for tensor in scene.run.agent.policy_weights().values():
        tensor.zero_()
    ((env_steps, updates, report),) = scene.beside.finished(wait=True)
    assert (env_steps, updates) == (100, 7)
    assert report.returns == expected.returns


def test_they_are_handed_over_in_order_and_once(scene: Scene) -> None:
    for step in (100, 200):
        scene.beside.begin(1, step, 0)
    assert [each.env_steps for each in scene.beside.finished(wait=True)] == [100, 200]
    assert scene.beside.finished(wait=True) == []


def test_weights_do_not_pile_up(scene: Scene) -> None:
    for step in range(MOST_WAITING + 2):
        scene.beside.begin(1, step, 0)
    assert [each.env_steps for each in scene.beside.finished()][:2] == [0, 1]


def test_an_evaluator_that_is_lost_is_replaced_and_plays_again(scene: Scene) -> None:
    expected = scene.run.evaluate(3, 100)  # type: ignore[operator]
    scene.engine.before_call = lambda worker, method: (
        scene.engine.lose(worker) if (worker.number, method) == (0, "evaluate") else None
    )
    scene.beside.begin(3, 100, 0)
    (done,) = scene.beside.finished(wait=True)
    assert done.report.returns == expected.returns
    assert len(scene.engine.workers) == 2


def test_an_evaluator_that_ends_again_and_again_is_an_error(scene: Scene) -> None:
    scene.engine.before_call = lambda worker, method: scene.engine.lose(worker)
    scene.beside.begin(1, 100, 0)
    with pytest.raises(WorkerError, match="ended 4 times: its process was killed"):
        scene.beside.finished(wait=True)


def test_an_evaluator_that_does_not_start_is_not_waited_for_for_ever(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = itertools.count(step=10)
    monkeypatch.setattr("rlplug.train.beside.time.monotonic", lambda: float(next(seconds)))
    scene.engine.frozen = {0}
    scene.beside.begin(1, 4000, 0)
    with pytest.raises(WorkerError, match=r"not ready after 180 seconds \(launch.start_timeout_s"):
        scene.beside.finished(wait=True)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == (
        "The evaluation at 4,000 environment steps has taken 70 s so far; it is waited for."
    )
    assert len(told) == 2  # after 60 and 120 seconds


def test_an_environment_that_raises_is_an_environment_fault(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise EnvironmentFaultError("it broke")

    monkeypatch.setattr("rlplug.train.evaluation.evaluate", broken)
    scene.beside.begin(1, 100, 0)
    with pytest.raises(EnvironmentFaultError, match="Evaluation: it broke"):
        scene.beside.finished(wait=True)
