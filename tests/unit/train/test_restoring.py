"""A checkpoint is loaded whole, or refused with the versions that wrote and read it."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rlplug.checkpoint import CheckpointInfo, LoadedCheckpoint
from rlplug.errors import CheckpointError
from rlplug.train.restoring import Origin, restore
from rlplug.versions import installed_versions


class Part:
    """Any part of a run: keeps the state that it loads."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.restarted: list[int] = []

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = {"weights": state["weights"], "count": state["count"]}

    def state_dict(self) -> dict[str, Any]:
        return self.state


class Migrating(Part):
    def migrate_state(self, state: dict[str, Any], versions: dict[str, str]) -> dict[str, Any]:
        assert versions["rlplug-toy"] == "0.9"
        return {"weights": state["w"], "count": state["count"]}


STATE = {"weights": torch.ones(3), "count": 2}


def restored(agent: Any, agent_state: dict[str, Any], **versions: str) -> Any:
    written_by = installed_versions() | {"rlplug-toy": "1.0"} | versions
    parts = ("collector", "trainer", "supervisor")
    state = {"agent": agent_state, **dict.fromkeys(parts, STATE)}
    info = CheckpointInfo(env_steps=5, versions=written_by)
    origin = Origin(Path("runs/x/checkpoints/step-000000005"), LoadedCheckpoint(info, state))
    run: Any = SimpleNamespace(agent=agent, collector=Part(), replay=None)
    supervisor: Any = Part()
    trainer: Any = Part()
    restore(run, supervisor, trainer, origin, {"rlplug-toy": "1.0"})
    return run


def test_the_versions_that_wrote_it_load_it_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = restored(Part(), STATE)
    assert run.agent.state == STATE
    assert caplog.text == ""


def test_another_version_is_named_and_what_it_wrote_loaded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    restored(Part(), STATE, **{"rlplug-toy": "0.9", "numpy": "1.0"})
    assert "rlplug-toy 0.9 (1.0 is installed)" in caplog.text
    assert f"numpy 1.0 ({installed_versions()['numpy']} is installed)" in caplog.text


def test_an_agent_may_translate_what_an_earlier_version_of_it_saved() -> None:
    run = restored(Migrating(), {"w": torch.ones(3), "count": 2}, **{"rlplug-toy": "0.9"})
    assert run.agent.state["weights"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "agent_state",
    [{"w": torch.ones(3), "count": 2}, STATE | {"momentum": torch.zeros(1)}],
    ids=["lacks a key", "has one too many"],
)
def test_what_does_not_fit_is_refused_with_both_versions(agent_state: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError) as caught:
        restored(Part(), agent_state, **{"rlplug-toy": "0.9"})
    assert "step-000000005 does not fit what is installed" in str(caught.value)
    assert "rlplug-toy 0.9 (1.0 is installed)" in str(caught.value)


def test_an_agent_that_forgets_a_part_of_its_state_is_refused() -> None:
    class Forgetful(Part):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.state = {"weights": state["weights"] * 0, "count": state["count"]}

    with pytest.raises(CheckpointError, match="'weights' of the agent is not what was saved"):
        restored(Forgetful(), STATE)
