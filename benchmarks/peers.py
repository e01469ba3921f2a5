"""Each peer in an environment of its own, made when it is first asked for.

    python -m benchmarks.peers sb3 tianshou   # makes them now, and prints their interpreters

A peer brings its own versions of what it needs, and in one environment whichever was installed last
would decide what both are measured with. What computes and simulates is of our versions everywhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".nox" / "peers"
INSTALL_LIMIT_SECONDS = 1200

PACKAGES = {
    "sb3": ("stable-baselines3==2.9.2", "ale-py", "opencv-python-headless", "gymnasium[mujoco]"),
    "tianshou": ("tianshou==2.0.1",),
    "torchrl": ("torchrl==0.14.1",),
}
"""What each needs for the work that it is given."""
SHARED = {"torch", "numpy", "gymnasium", "ale-py", "mujoco", "opencv-python-headless"}
"""Held to the versions in `constraints.txt`."""


def python_of(peer: str) -> str:
    """The interpreter of a peer's environment, which is made where there is none yet.

    Raises:
        subprocess.CalledProcessError: pip could not install it; its output is shown.
    """
    folder = FOLDER / peer
    python, finished = folder / "bin" / "python", folder / "installed.json"
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line.split("==")[0] in SHARED]
    wanted = json.dumps([*PACKAGES[peer], *pinned])
    if not finished.exists() or finished.read_text() != wanted:
        print(f"installing {', '.join(PACKAGES[peer])} in {folder}", file=sys.stderr, flush=True)
        venv.create(folder, clear=True, with_pip=True)
        constraints = folder / "constraints.txt"
        constraints.write_text("\n".join([*pinned, ""]))
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "-c", constraints, *PACKAGES[peer]],
            check=True,
            timeout=INSTALL_LIMIT_SECONDS,
            cwd=ROOT,
        )
        finished.write_text(wanted)
    return str(python)


def versions_of(peer: str, *packages: str) -> str:
    """`name version` of packages as the peer's environment has them, by commas."""
    script = (
        "import sys; from importlib.metadata import version; "
        "print(', '.join(f'{name} {version(name)}' for name in sys.argv[1:]))"
    )
    done = subprocess.run(
        [python_of(peer), "-c", script, *packages],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    for name in sys.argv[1:] or PACKAGES:
        print(name, python_of(name))
