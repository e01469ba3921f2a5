"""The bonus slot, proved by a count-based bonus: rarely seen places pay."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlplug.errors import ConfigError


class CountBonus:
    """Pays 1 / √(1 + visits so far) for each observation."""

    def __init__(self, context: Any, *, scale: float = 1.0) -> None:
        self.scale = scale
        self.visits: Counter[bytes] = Counter()

    def __call__(self, rollout: Any) -> torch.Tensor:
        flat = rollout.observation.reshape(rollout.reward.size, -1)
        pay = [self.scale / np.sqrt(1 + self.visits[row.tobytes()]) for row in flat]
        return torch.tensor(pay, dtype=torch.float32).view(rollout.reward.shape)

    def update(self, rollout: Any) -> None:
        self.visits.update(row.tobytes() for row in rollout.observation[rollout.valid])

    def state_dict(self) -> dict[str, Any]:
        return {"visits": {key.hex(): count for key, count in self.visits.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        visits = {bytes.fromhex(key): count for key, count in state["visits"].items()}
        self.visits = Counter(visits)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spec names a module; this one has a name of its own only while it runs."""
    import sys
    from types import ModuleType

    module = ModuleType("count_bonus")
    module.CountBonus = CountBonus  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "count_bonus", module)


def with_bonus(weight: float = 0.5, **kwargs: Any) -> dict[str, Any]:
    return {"bonus": {"entry": "count_bonus:CountBonus", "weight": weight, "kwargs": kwargs}}


def learn(agent: Any, rollout: Any) -> Any:
    """Update on every minibatch; the rows of the first."""
    batches = []
    for batch in agent.minibatches([rollout]):
        batches.append(batch)
        agent.update(batch)
    return batches[0].rows


ONE_STEP = {
    "gamma": 0.0, "advantage": {"kind": "gae", "lambda_": 0.0}, "batch_size": None, "epochs": 2,
    "normalize_advantages": "off",
}  # fmt: skip


def test_reward_of_each_row_is_its_own_plus_the_weighted_bonus(by_hand: Any) -> None:
    rollout = by_hand.rollout()
    rollout.observation[:] = 0.0
    rollout.observation[0] = 1.0  # the first row of both environments is another place
    agent = by_hand.agent(**ONE_STEP, **with_bonus(0.5, scale=3.0), reward={"scale": 2.0})
    for pays in ((3.0, 3.0), (3 / np.sqrt(3), 3 / np.sqrt(11))):
        target = learn(agent, rollout).target.view(6, 2).numpy()
        expected = 2 * rollout.reward + 0.5 * pays[1]
        expected[0] += 0.5 * (pays[0] - pays[1])
        np.testing.assert_allclose(target, expected, atol=1e-5)


def test_the_bonus_learns_after_the_last_update_and_from_transitions_alone(by_hand: Any) -> None:
    agent = by_hand.agent(**ONE_STEP, **with_bonus())
    rollout = by_hand.rollout(invalid=((3, 1),))
    for batch in agent.minibatches([rollout]):
        assert not agent.bonus.visits
        agent.update(batch)
    assert agent.bonus.visits.total() == 11


def test_the_bonus_is_saved_with_the_agent(by_hand: Any) -> None:
    agent, other = (by_hand.agent(**ONE_STEP, **with_bonus()) for _ in range(2))
    learn(agent, by_hand.rollout())
    other.load_state_dict(agent.state_dict())
    assert other.bonus.visits == agent.bonus.visits


class Corridor(gymnasium.Env[Any, Any]):
    """Twenty-four rooms in a row: each step up costs a little, reaching the last pays a lot."""

    ROOMS = 24
    observation_space = spaces.Discrete(ROOMS)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.room, self.steps = 0, 0
        return self.room, {}

    def step(self, action: Any) -> Any:
        self.room = max(0, self.room + (1 if action else -1))
        self.steps += 1
        at_end = self.room == self.ROOMS - 1
        reward = 10.0 if at_end else -0.05 * float(action)
        return self.room, reward, at_end, self.steps == 48, {}


@pytest.mark.learning
def test_with_the_bonus_a_far_reward_is_found_that_is_not_found_without(train: Any) -> None:
    settings = {
        "train.steps": 20_000,
        "train.rollout_length": 32,
        "agent.optimizer.learning_rate": 3e-3,
        "agent.epochs": 4,
    }
    bonus = {"agent.bonus.entry": "count_bonus:CountBonus", "agent.bonus.weight": 1.0}
    assert train("ppo", Corridor, **settings).mean_return(10) < 1
    assert train("ppo", Corridor, **settings | bonus).mean_return(10) > 8


@pytest.mark.parametrize(
    ("entry", "kwargs"),
    [("no_such_module:Bonus", {}), ("count_bonus:Bonus", {}), ("count_bonus:CountBonus", {"a": 1})],
)
def test_a_bonus_that_cannot_be_built_is_refused_by_name(
    entry: str, kwargs: dict[str, Any], by_hand: Any
) -> None:
    with pytest.raises(ConfigError, match=entry):
        by_hand.agent(bonus={"entry": entry, "kwargs": kwargs})
