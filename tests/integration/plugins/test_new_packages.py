"""What `rlplug plugins new` writes: installed by pip, tested, trained, and in good form."""

from __future__ import annotations

import json
import re

import pytest
from throwaway import Throwaway


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with a new algorithm and a new environment installed."""
    made = Throwaway.make(tmp_path_factory.mktemp("new"))
    made.rlplug("plugins", "new", "rlplug-foo", "--algorithm", "foo")
    made.rlplug("plugins", "new", "rlplug-room", "--environment", "room")
    made.install(made.folder / "rlplug-foo", made.folder / "rlplug-room")
    return made


@pytest.mark.timeout(700)
@pytest.mark.parametrize("package", ["rlplug-foo", "rlplug-room"])
def test_they_pass_their_own_tests_and_the_conformance_kit(environment, package):
    done = environment.run("-m", "pytest", "-q", package)
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed > 10, done.stdout


def test_they_pass_ruff_with_their_own_settings(environment):
    for command in (("check",), ("format", "--check")):
        done = environment.run("-m", "ruff", *command, "--no-cache", "rlplug-foo", "rlplug-room")
        assert done.returncode == 0
        assert "No Python files" not in done.stdout + done.stderr


def test_they_are_listed_as_sound_and_train_together(environment):
    listed = json.loads(environment.rlplug("plugins", "list", "--json").stdout)
    found = {one["distribution"]: (one["state"], one["remarks"]) for one in listed}
    assert found["rlplug-foo"] == found["rlplug-room"] == ("ok", [])
    arguments = ("--steps", "800", "--env.size", "3", "--json", "--evaluate.num_envs", "1")
    report = json.loads(environment.rlplug("train", "foo", "room", *arguments).stdout)
    assert report["env_steps"] == 800


def test_two_files_of_substance_are_read_in_five_minutes(environment):
    for package in ("rlplug-foo", "rlplug-room"):
        sources = (environment.folder / package / "src").rglob("*.py")
        lines = {file.name: file.read_text().count("\n") for file in sources}
        assert len([name for name, count in lines.items() if count > 5]) == 2
        assert sum(lines.values()) < 250
