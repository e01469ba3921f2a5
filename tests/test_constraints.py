"""The files of pinned versions agree with each other."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
HELD_BACK = {"numpy", "cffi", "filelock", "glfw", "imageio-ffmpeg"}
"""What Procgen's simulator takes only in older versions."""


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_procgen_s_environment_differs_only_in_what_its_simulator_holds_back() -> None:
    usual, procgen = pins("constraints.txt"), pins("constraints-procgen.txt")
    differing = {name for name in usual.keys() & procgen.keys() if usual[name] != procgen[name]}
    assert differing == HELD_BACK
    assert "cryptography" not in procgen  # twine's; it needs cffi 2
    assert int(procgen["numpy"].partition(".")[0]) < 2
