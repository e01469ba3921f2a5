"""What the README says is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rlplug.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("rlplug train")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_taken(command, capsys):
    assert main.run([*shlex.split(command)[1:], "--dry-run"]) == 0, capsys.readouterr().err


def test_table_of_tasks_is_true(specs, maker, spec):
    rows = re.findall(
        r"^\| `([\w-]+)` \| `([\w-]+)` \| (\d+) \| (\d+) \| (\d+) \|", README, re.MULTILINE
    )
    assert [row[0] for row in rows] == list(specs)
    (gymnasium_id, *sizes) = next(row[1:] for row in rows if row[0] == spec.name)
    env = maker()
    assert gymnasium_id == maker.gymnasium_id
    spaces = (env.observation_space, env.action_space)
    assert [int(size) for size in sizes] == [
        *(space.shape[0] for space in spaces),
        env.spec.max_episode_steps,
    ]
