"""What the tests of these tasks share."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rlplug.specs import EnvironmentSpec
from rlplug_mujoco import make, plugin

pytest_plugins = ["rlplug.testing.plugin"]

SPECS = {spec.name: spec for spec in vars(plugin).values() if isinstance(spec, EnvironmentSpec)}


@pytest.fixture
def specs():
    """The specs of all tasks, by name."""
    return SPECS


@pytest.fixture(params=SPECS)
def spec(request):
    """Each task's spec."""
    return SPECS[request.param]


@pytest.fixture
def maker(spec):
    """What builds this task."""
    return getattr(make, spec.make.partition(":")[2])


@pytest.fixture
def rlplug_command(tmp_path_factory):
    """Runs the command line in a process of its own."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-m", "rlplug", *map(str, arguments)],
            env=os.environ
            | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
            | {name: str(value) for name, value in variables.items()},
            cwd=tmp_path_factory.mktemp("folder"),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    return run
