"""One checkpoint at a time beside the training, and what comes of each."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from rlplug.checkpoint import CheckpointInfo
from rlplug.checkpoint.background import BackgroundCall
from rlplug.config import CheckpointConfig
from rlplug.errors import CheckpointError, RunFolderError
from rlplug.train.saving import Saving

FULL = CheckpointError("The disk is full.")


class FakeStore:
    """Writes when it is let, and fails at the steps in `failing`."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.failing: set[int] = set()
        self.may_end = threading.Event()
        self.may_end.set()

    def begin(self, state: Any, info: CheckpointInfo) -> BackgroundCall[Path]:
        self.begun.append(info.env_steps)

        def write() -> Path:
            assert self.may_end.wait(10)
            if info.env_steps in self.failing:
                raise FULL
            return Path(f"step-{info.env_steps}")

        return BackgroundCall(write)


class World:
    def __init__(self, **settings: Any) -> None:
        self.store = FakeStore()
        self.told: list[Any] = []
        store: Any = self.store
        self.saving = Saving(
            store, CheckpointConfig(**settings), saved=self.saved, warn=self.told.append
        )

    def saved(self, info: CheckpointInfo, path: Path) -> None:
        self.told.append((info.env_steps, path.name))

    def save(self, env_steps: int) -> None:
        self.saving.save({}, CheckpointInfo(env_steps=env_steps))


def test_training_goes_on_while_one_is_written_and_is_told_afterwards() -> None:
    world = World()
    world.store.may_end.clear()
    world.save(10)
    world.saving.poll()
    assert (world.told, world.saving.last) == ([], None)
    world.store.may_end.set()
    world.saving.wait()
    assert (world.told, world.saving.last) == ([(10, "step-10")], Path("step-10"))
    world.saving.wait()
    assert len(world.told) == 1


def test_one_is_written_at_a_time() -> None:
    world = World()
    for env_steps in (10, 20):
        world.save(env_steps)
    assert world.told == [(10, "step-10")]
    assert world.store.begun == [10, 20]


def test_one_that_fails_is_told_and_the_next_is_tried() -> None:
    world = World(on_error="warn")
    world.store.failing = {10}
    for env_steps in (10, 20):
        world.save(env_steps)
        world.saving.wait()
    assert world.told[0].startswith("The disk is full. Training goes on")
    assert world.told[1:] == [(20, "step-20")]
    assert world.saving.num_failed == 1


@pytest.mark.parametrize("how", ["save", "wait", "poll"])
def test_one_that_fails_ends_the_run_at_the_next_opportunity_where_that_is_asked_for(
    how: str,
) -> None:
    world = World(on_error="stop")
    world.store.failing = {10}
    world.save(10)
    _, call = world.saving._writing  # type: ignore[misc]
    call._thread.join()
    with pytest.raises(CheckpointError, match="disk is full"):
        world.save(20) if how == "save" else getattr(world.saving, how)()
    assert world.store.begun == [10]


def test_one_that_must_succeed_is_an_error_whatever_was_asked() -> None:
    world = World(on_error="warn")
    world.store.failing = {10}
    world.save(10)
    with pytest.raises(CheckpointError):
        world.saving.wait(must_succeed=True)


def test_a_record_that_cannot_be_written_counts_as_a_checkpoint_that_cannot() -> None:
    world = World(on_error="warn")

    def refuse(*_: Any) -> None:
        raise RunFolderError("run.json cannot be written.")

    world.saving._saved = refuse
    world.save(10)
    world.saving.wait()
    assert world.told == [
        "run.json cannot be written. Training goes on; the next checkpoint tries again."
    ]


def test_at_the_end_an_error_is_only_told() -> None:
    world = World(on_error="stop")
    world.store.failing = {10}
    world.save(10)
    world.saving.end()
    assert world.told == ["The disk is full."]


def test_where_none_are_wanted_none_is_begun() -> None:
    world = World(enabled=False)
    world.save(10)
    world.saving.wait(must_succeed=True)
    assert (world.store.begun, world.saving.last) == ([], None)
