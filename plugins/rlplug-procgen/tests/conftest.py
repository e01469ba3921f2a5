"""Where the simulator cannot run, only what needs none is tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rlplug.errors import PluginError
from rlplug_procgen import simulator

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["rlplug.testing.plugin"]

WITHOUT_SIMULATOR = {"test_listing.py", "test_presets.py", "test_missing_simulator.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the rest, and say why."""
    try:
        simulator.load()
    except PluginError as error:
        skip = pytest.mark.skip(reason=str(error))
        for item in items:
            if item.path.name not in WITHOUT_SIMULATOR:
                item.add_marker(skip)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Any:
    """Run the rlplug command in an empty folder: `cli("train ppo coinrun")` -> (code, out, err)."""
    from rlplug.cli.main import run

    monkeypatch.chdir(tmp_path)

    def call(line: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run(line.split())
        return (code, *capfd.readouterr())

    return call
