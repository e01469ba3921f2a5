"""What the family registers, and the mixes of sections that it refuses."""

from __future__ import annotations

import pytest

from rlplug.errors import ConfigError
from rlplug.resolve import resolve

MEMBERS = ["ppo", "recurrent-ppo", "a2c", "reinforce", "appo", "impala"]


@pytest.mark.parametrize("name", MEMBERS)
def test_defaults_of_each_member_resolve(name: str) -> None:
    resolved = resolve(name, "acrobot", preset=None)
    assert resolved.trainer.name == "on-policy"
    assert resolved.config.replay is None
    assert resolved.config.launch.total_envs == 8


def test_members_differ_in_their_slots_alone() -> None:
    def agent(name: str) -> object:
        return resolve(name, "acrobot", preset=None).config.agent

    assert agent("ppo").objective.kind == "clipped"  # type: ignore[attr-defined]
    assert agent("a2c").advantage.lambda_ == 1.0  # type: ignore[attr-defined]
    assert agent("reinforce").advantage.kind == "returns"  # type: ignore[attr-defined]
    assert agent("recurrent-ppo").network.recurrent.kind == "lstm"  # type: ignore[attr-defined]
    assert agent("appo").objective.kind == "clipped"  # type: ignore[attr-defined]
    assert agent("impala").objective.kind == "policy-gradient"  # type: ignore[attr-defined]
    assert len({type(agent(name)) for name in MEMBERS}) == 1


def test_those_that_correct_for_old_data_are_the_asynchronous_ones() -> None:
    specs = {name: resolve(name, "acrobot", preset=None) for name in MEMBERS}
    corrected = {n for n, r in specs.items() if r.config.agent.advantage.kind == "vtrace"}  # type: ignore[attr-defined]
    assert corrected == {n for n, r in specs.items() if "async" in r.algorithm.features}
    assert corrected == {"appo", "impala"}


def test_returns_that_a_rollout_cuts_short_are_refused() -> None:
    with pytest.raises(ConfigError, match="whole_episodes"):
        resolve("ppo", "cartpole", overrides={"agent.advantage": "returns"})
    mixed = {"agent.advantage": "returns", "train.whole_episodes": True}
    assert resolve("ppo", "cartpole", overrides=mixed).config.agent.advantage.kind == "returns"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["appo", "impala"])
def test_old_data_that_nothing_corrects_for_are_refused(name: str) -> None:
    asynchronous: dict[str, object] = {"launch.launcher": "ray", "launch.mode": "async"}
    assert resolve(name, "cartpole", overrides=asynchronous)
    gae = {"agent.advantage": "gae"}
    assert resolve(name, "cartpole", overrides=gae)
    with pytest.raises(ConfigError, match=r"Set agent\.advantage to vtrace"):
        resolve(name, "cartpole", overrides=asynchronous | gae)
