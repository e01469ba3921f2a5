from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from rlplug.cli.overrides import split, typed


def test_both_forms_of_a_dotted_option_are_taken_out() -> None:
    arguments = ["dqn", "--agent.a", "1", "--steps", "5", "--env.kwargs.b=x=y", "cartpole"]
    assert split(arguments) == (
        ["dqn", "--steps", "5", "cartpole"],
        [("agent.a", "1"), ("env.kwargs.b", "x=y")],
        "",
    )


def test_a_negative_number_is_a_value() -> None:
    assert split(["--agent.a", "-1"]).overrides == [("agent.a", "-1")]


def test_an_empty_value_is_a_value() -> None:
    assert split(["--agent.a=", "--agent.b", ""]).overrides == [("agent.a", ""), ("agent.b", "")]


@pytest.mark.parametrize("arguments", [["--agent.a"], ["--agent.a", "--steps", "3"]])
def test_an_option_that_nothing_follows_is_told(arguments: list[str]) -> None:
    assert split(arguments).without_value == "agent.a"


def test_after_two_dashes_nothing_is_an_option() -> None:
    assert split(["--", "--agent.a", "1"]) == (["--", "--agent.a", "1"], [], "")


def test_a_path_with_a_dot_is_no_setting() -> None:
    assert split(["--config", "a.yaml", "--run-dir=./x.y"]).overrides == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (True, "true"), ((1, 2), "[1, 2]"), ({"a": None}, "{a: none}"), ("x", "x")],
)
def test_a_value_is_shown_as_it_is_typed(value: object, text: str) -> None:
    assert typed(value) == text


def complete(line: str, word: int) -> list[str]:
    """What bash offers for the word of this number."""
    done = subprocess.run(
        [sys.executable, "-c", "from rlplug.cli.main import run; run()"],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "_RLPLUG_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(word),
        },
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "word", "offered"),
    [
        ("rlplug tr", 1, ["train"]),
        ("rlplug train qr", 2, ["qr-dqn"]),
        ("rlplug train dqn acro", 3, ["acrobot"]),
        ("rlplug train dqn cartpole --agent.batch", 4, ["--agent.batch_size"]),
        ("rlplug train dqn cartpole --ste", 4, ["--steps"]),
        ("rlplug train dqn cartpole --replay.sampler ", 5, ["uniform", "prioritized"]),
        ("rlplug train dqn cartpole --replay.sampler = pri", 6, ["prioritized"]),
        ("rlplug train dqn cartpole --console pl", 5, ["plain"]),
        ("rlplug train nope cartpole --agent.b", 4, []),
        ("rlplug eval la", 2, ["last"]),
    ],
)
def test_the_shell_completes(line: str, word: int, offered: list[str]) -> None:
    assert complete(line, word) == offered


def test_help_lists_an_algorithms_own_options(cli: Any) -> None:
    outcome = cli("train c51 cartpole --help")
    assert outcome.code == 0
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line.startswith("--")}
    assert "a whole number above 0" in rows["--agent.batch_size"]
    assert "(categorical)" in rows["--agent.head.num_atoms"]
    assert "categorical" in rows["--agent.head"]
    assert {"--replay.gamma", "--train.steps", "--env.kwargs", "--evaluate.episodes"} <= set(rows)


def test_help_for_an_unknown_algorithm_names_the_nearest(cli: Any) -> None:
    outcome = cli("train dqnn --help")
    assert outcome.code == 2
    assert "'dqn'" in outcome.err


def test_help_without_an_algorithm_lists_none(cli: Any) -> None:
    assert "--agent.network" not in cli("train --help").out
