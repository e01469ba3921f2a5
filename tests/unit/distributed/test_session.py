"""What is refused before Ray is started."""

from __future__ import annotations

import shutil
import socket
from collections import namedtuple
from typing import Any

import pytest

from rlplug.config import LaunchConfig
from rlplug.distributed.session import RaySession
from rlplug.errors import ConfigError


@pytest.fixture(autouse=True)
def ray_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests have started."""
    monkeypatch.setattr("ray.is_initialized", lambda: False)


def test_an_address_where_nothing_listens_is_refused_in_seconds() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(ConfigError, match=f"nothing answers at {address}"):
            RaySession(LaunchConfig(cluster=address)).open()


@pytest.mark.parametrize("address", ["somewhere", "host:port", ":1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address; expected none, auto, HOST:PORT"):
        RaySession(LaunchConfig(cluster=address)).open()


def test_too_little_shared_memory_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(64 << 20, 0, 64 << 20))
    with pytest.raises(ConfigError, match=r"64 MB free, at least 80 MB.*--shm-size"):
        RaySession(LaunchConfig(workers=2)).open()


def test_more_workers_than_cores_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.setattr("rlplug.distributed.session.usable_cores", lambda: 2)
    monkeypatch.setattr("ray.init", lambda **settings: started.append(settings))
    monkeypatch.setattr("ray.shutdown", lambda: None)
    session = RaySession(LaunchConfig(workers=5))
    session.open()
    session.close()
    session.close()
    assert "5 workers share 2 processor cores" in caplog.text
    assert started[0]["num_cpus"] == 2
    assert started[0]["include_dashboard"] is False


def test_a_program_that_uses_ray_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    ended: list[str] = []
    monkeypatch.setattr("ray.shutdown", lambda: ended.append("Ray"))
    session = RaySession(LaunchConfig(workers=2))
    session.open()
    session.close()
    assert not ended
