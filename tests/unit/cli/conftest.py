"""Fixtures of these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from fake_site import fake_site

from rlplug.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["cli", "fake_site"]


class Outcome(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run a command line in an empty folder: `cli("train dqn cartpole", "--agent.x", "a b")`."""
    monkeypatch.chdir(tmp_path)

    def call(line: str, *more: str) -> Outcome:
        code = run([*line.split(), *more])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
