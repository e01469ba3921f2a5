"""Wheels and source archives hold what they should, and the check of that notices what is amiss."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
from dist_contents import ROOT, faults

PLUGIN = ROOT / "plugins" / "rlplug-atari"


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """A wheel and a source archive of one plugin, built without fetching anything."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=PLUGIN,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return {archive.suffix: archive for archive in folder.iterdir()}


def test_a_wheel_and_a_source_archive_hold_what_they_should(archives):
    assert {suffix: faults(archive) for suffix, archive in archives.items()} == {
        ".whl": [],
        ".gz": [],
    }


def changed(wheel, folder, *, without=(), extra=()):
    """The wheel without some of its files, or with others."""
    path = folder / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if not any(part in name for part in without):
                new.writestr(name, old.read(name))
        for name in extra:
            new.writestr(name, b"")
    return path


def test_what_is_missing_or_strange_is_named(archives, tmp_path):
    wheel = archives[".whl"]
    without = changed(wheel, tmp_path, without=("licenses/LICENSE", "presets/dqn.yaml"))
    assert [fault.partition(": ")[2] for fault in faults(without)] == [
        "does not carry the LICENSE of the repository",
        "lacks rlplug_atari/presets/dqn.yaml",
    ]
    strange = changed(wheel, tmp_path, extra=("tests/test_games.py",))
    assert [fault.partition(": ")[2] for fault in faults(strange)] == [
        "carries tests/test_games.py"
    ]
    assert "is none of" in faults(tmp_path / "other-1.0.whl")[0]
