"""Trackers of a run, and where warnings go meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from rlplug.errors import PluginError
from rlplug.registry import discovery
from rlplug.resolve import resolve
from rlplug.train.reporting import open_trackers

if TYPE_CHECKING:
    from pathlib import Path


class Tape:
    """A registered tracker that notes its life."""

    opened: list[Any] = []  # noqa: RUF012 - cleared by the fixture

    def __init__(self, run_dir: Path, *, resume_at: int | None = None) -> None:
        self.life: list[Any] = [resume_at]
        self.opened.append(self)

    def write(self, env_steps: int, metrics: Any) -> None:
        self.life.append(env_steps)

    def episode(self, episode: Any) -> None:
        pass

    def close(self) -> None:
        self.life.append("closed")


@pytest.fixture(autouse=True)
def tape(monkeypatch: pytest.MonkeyPatch) -> type[Tape]:
    Tape.opened.clear()
    monkeypatch.setattr(discovery, "resolve_tracker", lambda name: {"tape": Tape}[name])
    return Tape


def opened(run_dir: Path, *, resume_at: int | None = None, **tracking: Any) -> Any:
    settings = {"console": "plain", "tensorboard": False} | tracking
    config = resolve("dqn", "cartpole", overrides={"tracking": settings}, seed=4).config
    return open_trackers(config, run_dir, total_env_steps=100, resume_at=resume_at)


def test_metrics_are_always_written_and_registered_trackers_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path, trackers=["tape"], resume_at=30) as trackers:
        trackers.write(40, {"loss": 1.0})
    assert '"env_steps": 40' in (tmp_path / "metrics.jsonl").read_text()
    assert Tape.opened[0].life == [30, 40, "closed"]
    assert capsys.readouterr().out.startswith("dqn on cartpole, seed 4\n")


def test_tensorboard_events_are_written_once_even_if_asked_for_twice(tmp_path: Path) -> None:
    with opened(tmp_path, tensorboard=True, trackers=["tensorboard"]):
        pass
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1


def test_trackers_are_closed_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), opened(tmp_path, trackers=["tape"]):
        raise ZeroDivisionError
    assert Tape.opened[0].life == [None, "closed"]


def test_one_that_cannot_start_is_named_and_the_others_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("nobody there")

    trackers = {"tape": Tape, "cloud": broken}
    monkeypatch.setattr(discovery, "resolve_tracker", lambda name: trackers[name])
    context = opened(tmp_path, trackers=["tape", "cloud"])
    with (
        pytest.raises(PluginError, match="'cloud' cannot be started: ConnectionError: nobody"),
        context,
    ):
        pass
    assert Tape.opened[0].life == [None, "closed"]


def test_warnings_are_lines_of_the_console_and_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, elsewhere = logging.getLogger("rlplug"), logging.StreamHandler()
    logger.addHandler(elsewhere)
    try:
        with opened(tmp_path):
            logging.getLogger("rlplug.envs").warning("odd %s", "value", exc_info=ValueError("x"))
        captured = capsys.readouterr()
        assert "\nodd value\n" in captured.out
        assert "odd value" not in captured.err
        assert "odd value\n" in (tmp_path / "console.log").read_text()
        assert logger.handlers == [elsewhere]
    finally:
        logger.removeHandler(elsewhere)


def test_where_the_console_is_off_warnings_are_left_to_others_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, elsewhere = logging.getLogger("rlplug"), logging.StreamHandler()
    logger.addHandler(elsewhere)
    try:
        with opened(tmp_path, console="off"):
            logging.getLogger("rlplug.envs").warning("odd value")
    finally:
        logger.removeHandler(elsewhere)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "odd value\n")
    assert "odd value\n" in (tmp_path / "console.log").read_text()
