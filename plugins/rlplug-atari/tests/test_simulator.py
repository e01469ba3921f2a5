"""ale-py is missing, too old or chatty, and the user hears one line or nothing."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from rlplug.cli import main
from rlplug_atari import simulator

INSTALL = 'Run: pip install "ale-py>=0.12.1"'


@pytest.fixture
def installed(monkeypatch):
    """Pretend that ale-py is installed in some version, or not at all."""

    def pretend(version):
        real = importlib.metadata.version

        def answer(name):
            if name != "ale-py":
                return real(name)
            if version is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return version

        monkeypatch.setattr(importlib.metadata, "version", answer)
        simulator.require.cache_clear()

    yield pretend
    simulator.require.cache_clear()


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (None, f"Atari games need the package ale-py, which is not installed. {INSTALL}"),
        ("0.12.0", f"ale-py 0.12.0 is too old: Atari games need 0.12.1. {INSTALL}"),
    ],
)
def test_without_the_simulator_one_line_says_what_to_install(
    installed, monkeypatch, capsys, tmp_path, version, says
):
    installed(version)
    monkeypatch.chdir(tmp_path)
    assert main.run(["train", "dqn", "pong", "--steps", "100"]) == 3
    errors = capsys.readouterr().err
    assert says in errors
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1


def test_a_simulator_that_does_not_load_is_a_plugin_error(installed, monkeypatch):
    installed("0.12.1")
    monkeypatch.setitem(sys.modules, "ale_py.vector_env", None)
    with pytest.raises(Exception, match=r"ale-py 0\.12\.1 does not load") as error:
        simulator.require()
    assert error.value.exit_code == 3


def test_the_banner_is_not_shown():
    code = (
        "from rlplug.envs.make import make_env, make_vector\n"
        "from rlplug_atari.config import AtariConfig\n"
        "from rlplug_atari.plugin import environment\n"
        "make_vector(environment('pong'), AtariConfig(), 1).reset(seed=0)\n"
        "make_env(environment('pong'), AtariConfig()).reset(seed=0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("", "")
