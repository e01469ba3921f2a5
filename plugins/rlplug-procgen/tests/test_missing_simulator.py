"""Without a simulator that runs: one line with the way out, and exit code 3."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from rlplug.errors import PluginError
from rlplug_procgen import simulator


@pytest.fixture
def numpy_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__version__", "1.26.4")


def test_a_numpy_that_is_too_new_is_named(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__version__", "2.4.6")
    code, _, err = cli("train ppo coinrun --steps 100")
    assert code == 3
    assert err.count("\n") == 1
    assert "needs numpy < 2, and numpy 2.4.6 is installed" in err
    assert simulator.INSTALL in err


@pytest.mark.usefixtures("numpy_1")
def test_a_missing_simulator_is_named(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", None)  # importing it raises ImportError
    code, _, err = cli("train ppo procgen/maze --steps 100")
    assert code == 3
    assert err.count("\n") == 1
    assert "cannot be imported" in err
    assert simulator.INSTALL in err


@pytest.mark.usefixtures("numpy_1")
def test_one_that_breaks_on_import_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", type(sys)("procgen"))  # without ProcgenGym3Env
    with pytest.raises(PluginError, match="cannot import name 'ProcgenGym3Env'"):
        simulator.load()


def test_nothing_is_left_behind_by_the_attempt() -> None:
    code = (
        "import sys; path = list(sys.path); from rlplug_procgen import simulator\n"
        "try: simulator.load()\n"
        "except simulator.PluginError: pass\n"
        "assert sys.path == path, sys.path\n"
        "try: from gym_notices.notices import notices\n"
        "except ImportError: notices = {'it': 'is not installed'}\n"
        "assert notices"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
