import errno
import io
import json

import pytest

from rlplug.config import TrackingConfig
from rlplug.tracking import Console, JsonlTracker, Trackers


class Tape:
    """Writes its calls to a list, and fails where it is told to."""

    def __init__(self, fails_on=()):
        self.calls = []
        self.fails_on = set(fails_on)

    def _call(self, name, *args):
        self.calls.append((name, *args))
        if name in self.fails_on:
            raise ValueError("no such project")

    def write(self, env_steps, metrics):
        self._call("write", env_steps, dict(metrics))

    def episode(self, episode):
        self._call("episode", episode)

    def close(self):
        self._call("close")


class PatientTape(Tape):
    keeps_unwritten = True


@pytest.fixture
def console(clock):
    stream = io.StringIO()
    config = TrackingConfig(console="plain")
    with Console(config, None, 50_000, "title", stream=stream, clock=clock) as console:
        console.shown = stream
        yield console


def messages(console):
    return console.shown.getvalue().splitlines()[1:]


def test_every_tracker_gets_every_call_and_the_console_too(console, episode, report):
    one, two = Tape(), Tape()
    trackers = Trackers(console, {"one": one, "two": two})
    trackers.episode(episode(env_steps=80))
    trackers.write(100, {"loss": 0.5})
    trackers.evaluation(100, report)
    trackers.close()
    trackers.close()

    assert one.calls == two.calls
    assert one.calls == [
        ("episode", episode(env_steps=80)),
        ("write", 100, {"loss": 0.5}),
        (
            "write",
            100,
            {
                "evaluation/mean_return": 120.4,
                "evaluation/std_return": 8.1,
                "evaluation/episodes": 10,
            },
        ),
        ("close",),
    ]
    assert messages(console)[0].startswith("     100/50,000")
    assert messages(console)[1] == "evaluation at 100: 120.4 ± 8.1 over 10 episodes"
    assert trackers.problems == []


def test_a_tracker_that_raises_is_named_and_switched_off_and_the_others_go_on(console):
    broken, whole = Tape(fails_on=["write"]), Tape()
    trackers = Trackers(console, {"cloud": broken, "whole": whole})
    for env_steps in (100, 200):
        trackers.write(env_steps, {})
    trackers.close()

    assert [call[0] for call in broken.calls] == ["write", "close"]
    assert [call[0] for call in whole.calls] == ["write", "write", "close"]
    told = [line for line in messages(console) if "cloud" in line]
    assert told == [
        "Tracker 'cloud' failed and is switched off; training goes on. ValueError: no such project"
    ]
    assert trackers.problems == ["Tracker 'cloud' was switched off (ValueError: no such project)."]


def test_a_tracker_that_keeps_its_rows_is_named_once_and_called_again(console):
    patient = PatientTape(fails_on=["write"])
    trackers = Trackers(console, {"metrics.jsonl": patient})
    for env_steps in (100, 200):
        trackers.write(env_steps, {})
    patient.fails_on.clear()
    trackers.write(300, {})
    patient.fails_on.add("write")
    trackers.write(400, {})
    patient.fails_on.clear()
    trackers.close()

    assert [call[0] for call in patient.calls] == ["write"] * 4 + ["close"]
    told = [line for line in messages(console) if "metrics.jsonl" in line]
    assert len(told) == 2  # once for each time that it began to fail
    assert "cannot be written (ValueError: no such project). Training goes on" in told[0]
    assert trackers.problems == []


def test_rows_that_were_kept_are_written_before_a_checkpoint(console, tmp_path, monkeypatch):
    tracker, write = JsonlTracker(tmp_path), JsonlTracker._append
    trackers = Trackers(console, {"metrics.jsonl": tracker, "cloud": Tape()})

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(JsonlTracker, "_append", full)
    trackers.write(100, {"loss": 1.0})
    trackers.catch_up()
    assert (tmp_path / "metrics.jsonl").read_text() == ""
    monkeypatch.setattr(JsonlTracker, "_append", write)
    trackers.catch_up()
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["env_steps"] == 100
    trackers.catch_up()
    trackers.close()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
    assert trackers.problems == []


def test_an_episode_is_no_sign_that_a_tracker_works_again(console, episode):
    trackers = Trackers(console, {"metrics.jsonl": PatientTape(fails_on=["write"])})
    for env_steps in (100, 200):
        trackers.write(env_steps, {})
        trackers.episode(episode())

    assert len([line for line in messages(console) if "metrics.jsonl" in line]) == 1


def test_one_that_is_added_is_told_and_closed_like_the_others(console):
    late = Tape()
    trackers = Trackers(console, {})
    trackers.add("late", late)
    trackers.write(100, {})
    trackers.close()

    assert [call[0] for call in late.calls] == ["write", "close"]


def test_rows_that_were_never_written_are_a_problem_at_the_end(console):
    trackers = Trackers(console, {"metrics.jsonl": PatientTape(fails_on=["write", "close"])})
    trackers.write(100, {})
    trackers.close()

    assert trackers.problems == [
        "metrics.jsonl is not complete: the last rows could not be written."
    ]


def test_an_interrupt_in_a_tracker_is_no_failure_of_it(console):
    class Interrupted(Tape):
        def write(self, env_steps, metrics):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trackers(console, {"x": Interrupted()}).write(1, {})


def test_the_metrics_file_keeps_its_rows():
    assert JsonlTracker.keeps_unwritten
