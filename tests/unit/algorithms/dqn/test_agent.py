"""The value family's agent: targets by hand, slots apart, and everything it keeps."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.data import TransitionBatch
from rlplug.protocols import Agent, AgentContext, Policy, PolicyContext
from rlplug.seeding import Seeds

OBSERVATIONS = gymnasium.spaces.Box(-1.0, 1.0, (3,))
MIXES: dict[str, dict[str, Any]] = {
    "dqn": {},
    "double": {"bootstrap": "double"},
    "munchausen": {"bootstrap": "munchausen"},
    "categorical": {"head": {"kind": "categorical", "num_atoms": 11}},
    "quantile": {"head": {"kind": "quantile", "num_quantiles": 7}},
    "iqn": {"head": {"kind": "implicit-quantile", "num_samples": 4, "num_target_samples": 5}},
    "dueling": {"network": {"dueling": True}},
    "noisy": {"exploration": "noisy", "network": {"noisy": {}}},
    "soft": {"target_update_rate": 0.1, "target_update_every_updates": 1},
}


def make_agent(seed: int = 0, *, start: int = 0, **settings: Any) -> DqnAgent:
    settings.setdefault("network", {})
    settings["network"] = {"encoder": {"kind": "mlp", "hidden_sizes": [8]}} | settings["network"]
    settings["network"].setdefault("hidden_sizes", [8])
    context = AgentContext(
        OBSERVATIONS, gymnasium.spaces.Discrete(2, start=start), 1_000, Seeds(seed)
    )
    return DqnAgent(DqnConfig(**settings), context)


def make_batch(size: int = 6, seed: int = 0, **fields: Any) -> TransitionBatch:
    generator = torch.Generator().manual_seed(seed)
    batch = TransitionBatch(
        observation=torch.rand(size, 3, generator=generator),
        action=torch.randint(2, (size,), generator=generator),
        reward=torch.rand(size, generator=generator),
        discount=torch.full((size,), 0.9),
        next_observation=torch.rand(size, 3, generator=generator),
        importance_weight=torch.ones(size),
        replay_index=torch.arange(size),
    )
    return batch._replace(**fields)


def weights_of(agent: DqnAgent) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in agent.online.parameters()])


def test_target_network_equals_the_online_one_at_the_start() -> None:
    agent = make_agent()
    for name, tensor in agent.online.state_dict().items():
        assert torch.equal(tensor, agent.target.state_dict()[name])


def test_loss_and_priority_are_those_of_the_td_error_by_hand() -> None:
    agent, batch = make_agent(), make_batch()
    with torch.no_grad():
        value = agent.online.q_values(batch.observation)[torch.arange(6), batch.action]
        following = agent.target.q_values(batch.next_observation).max(1).values
        error = batch.reward + 0.9 * following - value
    expected = torch.where(error.abs() < 1, 0.5 * error**2, error.abs() - 0.5)
    metrics, priorities = agent.update(batch)
    assert metrics["loss"].item() == pytest.approx(expected.mean().item(), rel=1e-5)
    assert priorities is not None
    np.testing.assert_allclose(priorities.numpy(), error.abs().numpy(), rtol=1e-5)


def test_importance_weights_act_sample_by_sample() -> None:
    only_first = torch.tensor([6.0, 0, 0, 0, 0, 0])
    weighted, alone = make_agent(), make_agent()
    weighted.update(make_batch(importance_weight=only_first))
    whole = make_batch()
    alone.update(TransitionBatch(*(field[:1] for field in whole)))
    torch.testing.assert_close(weights_of(weighted), weights_of(alone))


def test_a_terminated_transition_learns_its_reward_alone() -> None:
    batch = make_batch(discount=torch.zeros(6))
    elsewhere = batch._replace(next_observation=torch.rand(6, 3) * 100)
    one, other = make_agent(), make_agent()
    one.update(batch)
    other.update(elsewhere)
    assert torch.equal(weights_of(one), weights_of(other))


def test_double_and_max_differ_only_where_the_networks_disagree() -> None:
    agents = {
        name: make_agent(bootstrap=name, optimizer={"learning_rate": 0.05})
        for name in ("max", "double")
    }
    first = {name: agent.update(make_batch()).metrics["loss"] for name, agent in agents.items()}
    assert first["max"] == first["double"]
    for seed in range(30):
        for agent in agents.values():
            agent.update(make_batch(seed=seed))
    assert not torch.equal(weights_of(agents["max"]), weights_of(agents["double"]))


def test_target_network_is_copied_on_its_period_and_not_before() -> None:
    agent = make_agent(target_update_every_updates=3)
    start = agent.target.state_dict()
    before = {name: tensor.clone() for name, tensor in start.items()}
    for _ in range(2):
        agent.update(make_batch())
    assert all(torch.equal(before[n], t) for n, t in agent.target.state_dict().items())
    agent.update(make_batch())
    online = agent.online.state_dict()
    assert all(torch.equal(online[n], t) for n, t in agent.target.state_dict().items())


def test_soft_target_moves_by_its_rate() -> None:
    agent = make_agent(target_update_rate=0.25, target_update_every_updates=1)
    before = [p.clone() for p in agent.target.parameters()]
    agent.update(make_batch())
    pairs = zip(before, agent.online.parameters(), agent.target.parameters(), strict=True)
    for old, online, new in pairs:
        torch.testing.assert_close(new, 0.75 * old + 0.25 * online.detach())


def test_actions_are_counted_from_the_first_of_the_space() -> None:
    shifted, plain = make_agent(start=5), make_agent()
    batch = make_batch()
    shifted.update(batch._replace(action=batch.action + 5))
    plain.update(batch)
    assert torch.equal(weights_of(shifted), weights_of(plain))


@pytest.mark.parametrize("mix", MIXES)
def test_same_seed_same_weights_and_other_seed_other_weights(mix: str) -> None:
    runs = [make_agent(seed, **MIXES[mix]) for seed in (0, 0, 1)]
    for agent in runs:
        for seed in range(5):
            agent.update(make_batch(seed=seed))
    assert torch.equal(weights_of(runs[0]), weights_of(runs[1]))
    assert not torch.equal(weights_of(runs[0]), weights_of(runs[2]))


@pytest.mark.parametrize("mix", MIXES)
def test_a_loaded_agent_continues_bit_for_bit(mix: str) -> None:
    agent = make_agent(**MIXES[mix])
    for seed in range(4):
        agent.update(make_batch(seed=seed))
    other = make_agent(9, **MIXES[mix])
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    for seed in range(4, 8):
        agent.update(make_batch(seed=seed))
        other.update(make_batch(seed=seed))
    for name in ("online", "target"):
        left, right = getattr(agent, name).state_dict(), getattr(other, name).state_dict()
        assert all(torch.equal(tensor, right[key]) for key, tensor in left.items())


@pytest.mark.parametrize("mix", MIXES)
def test_priorities_and_metrics_have_their_shapes(mix: str) -> None:
    metrics, priorities = make_agent(**MIXES[mix]).update(make_batch(5))
    assert priorities is not None
    assert priorities.shape == (5,)
    assert (priorities >= 0).all()
    assert not priorities.requires_grad
    assert set(metrics) == {"loss", "q_value"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())


def test_building_and_updating_leave_global_generators_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for mix in MIXES.values():
        make_agent(**mix).update(make_batch())
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002


def test_policy_in_another_process_acts_like_the_one_that_shares_the_network() -> None:
    from rlplug.algorithms.dqn.policy import DqnPolicy

    agent = make_agent()
    agent.update(make_batch())
    context = PolicyContext(
        OBSERVATIONS, gymnasium.spaces.Discrete(2), np.arange(4), 4, 1_000, Seeds(3)
    )
    near, far = agent.policy(context), DqnPolicy(agent.config, context)
    far.set_weights(agent.policy_weights())
    assert isinstance(agent, Agent)
    assert isinstance(near, Policy)
    observation = np.random.default_rng(0).random((4, 3), np.float32)
    for mode in ("explore", "greedy"):
        left = near.act(observation, None, mode=mode)  # type: ignore[arg-type]
        right = far.act(observation, None, mode=mode)  # type: ignore[arg-type]
        np.testing.assert_array_equal(left.action, right.action)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"head": "c51", "bootstrap": "munchausen"}, "cannot be combined"),
        ({"exploration": "noisy"}, "needs network.noisy"),
        ({"head": {"kind": "categorical", "min_return": 3, "max_return": 1}}, "must be below"),
    ],
)
def test_mixes_without_a_meaning_are_refused_in_a_sentence(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        DqnConfig(**settings)
