"""Weights of another run: all of them, or what fits, and nothing that has a history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from rlplug.checkpoint import CheckpointInfo, save_checkpoint
from rlplug.errors import ConfigError
from rlplug.train.initial import InitialWeights, take_weights

if TYPE_CHECKING:
    from pathlib import Path


class FakeAgent:
    def __init__(self, value: float, num_actions: int = 2) -> None:
        self.state: dict[str, Any] = {
            "online": {"body": torch.full((3,), value), "head": torch.full((num_actions,), value)},
            "target": {"body": torch.full((3,), value), "head": torch.full((num_actions,), value)},
            "optimizer": {"moments": {"0": {"step": torch.tensor(value)}}, "learning_rate": value},
            "num_updates": int(value),
            "generator": torch.full((5,), int(value), dtype=torch.uint8),
            "bonus": None,
        }

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


def saved(folder: Path, agent: FakeAgent) -> Path:
    return save_checkpoint(folder, {"agent": agent.state}, info=CheckpointInfo(env_steps=9))


def test_networks_are_taken_and_what_has_a_history_is_not(tmp_path: Path) -> None:
    agent: Any = FakeAgent(1.0)
    taken = take_weights(agent, InitialWeights(saved(tmp_path, FakeAgent(2.0))))
    assert taken.taken == ["online.body", "online.head", "target.body", "target.head"]
    assert taken.left == []
    assert str(taken) == "took 4 of 4 arrays"
    for part in ("online", "target"):
        assert all((value == 2.0).all() for value in agent.state[part].values())
    assert agent.state["optimizer"]["learning_rate"] == 1.0
    assert (agent.state["num_updates"], int(agent.state["generator"][0])) == (1, 1)


def test_what_does_not_fit_is_refused_with_a_list_and_nothing_is_taken(tmp_path: Path) -> None:
    agent: Any = FakeAgent(1.0, num_actions=4)
    source = InitialWeights(saved(tmp_path, FakeAgent(2.0)))
    with pytest.raises(ConfigError) as caught:
        take_weights(agent, source)
    assert "online.head: [2] in the checkpoint, [4] in this run" in str(caught.value)
    assert "target.head" in str(caught.value)
    assert "--init-partial" in str(caught.value)
    assert (agent.state["online"]["body"] == 1.0).all()


def test_a_partial_match_takes_what_fits_and_lists_both(tmp_path: Path) -> None:
    agent: Any = FakeAgent(1.0, num_actions=4)
    other = FakeAgent(2.0)
    other.state["online"]["old"] = torch.zeros(1)
    del other.state["target"]["body"]
    taken = take_weights(agent, InitialWeights(saved(tmp_path, other), partial=True))
    assert taken.taken == ["online.body"]
    assert taken.left == [
        "online.head: [2] in the checkpoint, [4] in this run",
        "target.body: not in the checkpoint",
        "target.head: [2] in the checkpoint, [4] in this run",
        "online.old: not in this run",
    ]
    assert (agent.state["online"]["body"] == 2.0).all()
    assert (agent.state["online"]["head"] == 1.0).all()
    assert str(taken).splitlines()[:2] == ["took 1 of 5 arrays", "took online.body"]


def test_a_partial_match_of_nothing_is_refused(tmp_path: Path) -> None:
    agent: Any = FakeAgent(1.0)
    other = FakeAgent(2.0)
    other.state = {"elsewhere": {"w": torch.zeros(1)}}
    with pytest.raises(ConfigError, match=r"do not fit this run: online\.body: not in the"):
        take_weights(agent, InitialWeights(saved(tmp_path, other), partial=True))
