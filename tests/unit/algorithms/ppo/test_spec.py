"""What the family registers, and the mixes of sections that it refuses."""

from __future__ import annotations

import pytest

from rlplug.errors import ConfigError
from rlplug.resolve import resolve


@pytest.mark.parametrize("name", ["ppo", "recurrent-ppo", "a2c", "reinforce"])
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
    assert len({type(agent(name)) for name in ("ppo", "a2c", "reinforce", "recurrent-ppo")}) == 1


def test_returns_that_a_rollout_cuts_short_are_refused() -> None:
    with pytest.raises(ConfigError, match="whole_episodes"):
        resolve("ppo", "cartpole", overrides={"agent.advantage": "returns"})
    mixed = {"agent.advantage": "returns", "train.whole_episodes": True}
    assert resolve("ppo", "cartpole", overrides=mixed).config.agent.advantage.kind == "returns"  # type: ignore[attr-defined]
