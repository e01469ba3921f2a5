"""A short version of `tests/kill_storm.py`, which `nox -s kills` runs in full."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

STORM = Path(__file__).parents[1] / "kill_storm.py"


def test_killed_at_random_moments_the_run_comes_to_the_same_end() -> None:
    done = subprocess.run(
        [sys.executable, str(STORM), "--kills", "4", "--steps", "500"],
        capture_output=True,
        check=False,
        text=True,
        timeout=250,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(r"(\d) kills, \d of them while .*: the same end\n", done.stdout)
    assert said
    assert int(said[1]) >= 2
