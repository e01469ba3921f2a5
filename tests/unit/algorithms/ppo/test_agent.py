"""The on-policy agent: losses and targets by hand, what waits for the last update, what is kept."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import distributions

from rlplug.algorithms.ppo.agent import PpoAgent
from rlplug.algorithms.ppo.config import PpoConfig
from rlplug.algorithms.ppo.losses import Losses
from rlplug.algorithms.ppo.policy import PpoPolicy
from rlplug.nn.normalizers import RunningMeanVariance
from rlplug.protocols import Agent, AgentContext, Policy, PolicyContext
from rlplug.seeding import Seeds

WHOLE = {"batch_size": None, "epochs": 1, "normalize_advantages": "off"}
PLAIN = WHOLE | {"objective": "policy-gradient"}
BOX = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
MIXES: dict[str, dict[str, Any]] = {
    "ppo": {"batch_size": 4, "epochs": 3},
    "a2c": PLAIN,
    "reinforce": PLAIN | {"advantage": "returns"},
    "appo": {"advantage": "vtrace", "batch_size": 4, "epochs": 3},
    "impala": PLAIN | {"advantage": "vtrace"},
    "recurrent appo": {"advantage": "vtrace", "network": {"recurrent": "lstm"}, "batch_size": 6},
    "lstm": {"network": {"recurrent": "lstm"}, "batch_size": 6, "epochs": 2},
    "gru": {"network": {"recurrent": "gru"}, "batch_size": 6, "epochs": 2},
    "normalised": {"normalize_observations": True, "normalize_rewards": True, "epochs": 2},
    "two encoders": {
        "network": {"share_encoder": False, "encoder": {"kind": "mlp", "hidden_sizes": (8,)}}
    },
}
ENDS = {(2, 0): "terminated", (3, 1): "truncated"}


def weights_of(agent: PpoAgent) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in agent.network.parameters()])


def values_of(agent: PpoAgent, observation: Any) -> Any:
    with torch.no_grad():
        return agent.network.values(agent.network.see(torch.from_numpy(observation))).numpy()


def only_minibatch(agent: PpoAgent, rollout: Any) -> Any:
    return next(agent.minibatches([rollout])).rows


def learn(agent: PpoAgent, *rollouts: Any) -> list[dict[str, torch.Tensor]]:
    return [agent.update(batch).metrics for batch in agent.minibatches(rollouts)]


def rollout_for(agent: PpoAgent, by_hand: Any, **fields: Any) -> Any:
    return by_hand.rollout(ends=ENDS, state_size=agent.network.state_size, **fields)


def test_clipped_loss_and_its_gradient_are_those_of_torch_distributions(by_hand: Any) -> None:
    agent = by_hand.agent(**WHOLE, entropy_coefficient=0.01, value_coefficient=0.7)
    rows = only_minibatch(agent, by_hand.rollout(ends=ENDS))
    twin = copy.deepcopy(agent.network)
    features = rows.seen[0]
    (policy_features, value_features) = twin.towers([features])
    policy = distributions.Categorical(logits=twin.policy_head(policy_features))
    ratio = (policy.log_prob(rows.action) - rows.log_prob).exp()
    bounded = torch.clip(ratio, 0.8, 1.2)
    surrogate = -torch.min(ratio * rows.advantage, bounded * rows.advantage).mean()
    value_error = torch.nn.functional.mse_loss(twin.value_head(value_features)[:, 0], rows.target)
    loss = surrogate + 0.7 * value_error - 0.01 * policy.entropy().mean()
    expected = torch.autograd.grad(loss, list(twin.parameters()))
    agent.optimizer._config = agent.optimizer._config.model_copy(update={"max_gradient_norm": None})
    metrics = next(iter(learn(agent, by_hand.rollout(ends=ENDS))))
    assert metrics["policy_loss"].item() == pytest.approx(surrogate.item(), rel=1e-5)
    assert metrics["value_loss"].item() == pytest.approx(value_error.item(), rel=1e-5)
    assert metrics["entropy"].item() == pytest.approx(policy.entropy().mean().item(), rel=1e-5)
    for gradient, expectation in zip(agent.optimizer.gradients(), expected, strict=True):
        torch.testing.assert_close(gradient, expectation, rtol=1e-4, atol=1e-6)


def test_policy_gradient_loss_and_its_gradient_are_those_of_a_normal_distribution(
    by_hand: Any,
) -> None:
    agent = by_hand.agent(**PLAIN, action_space=BOX)
    rng = np.random.default_rng(3)
    rollout = by_hand.rollout(ends=ENDS, action=rng.normal(size=(6, 2, 2)).astype(np.float32))
    rows = only_minibatch(agent, rollout)
    twin = copy.deepcopy(agent.network)
    mean = twin.policy_head(twin.towers([rows.seen[0]])[0])
    policy = distributions.Normal(mean, twin.actions.log_std.exp())
    policy_loss = -(policy.log_prob(rows.action).sum(1) * rows.advantage).mean()
    loss = policy_loss + 0.5 * (twin.values(rows.seen) - rows.target).square().mean()
    expected = torch.autograd.grad(loss, list(twin.parameters()))
    agent.optimizer._config = agent.optimizer._config.model_copy(update={"max_gradient_norm": None})
    metrics = learn(agent, rollout)[0]
    assert metrics["policy_loss"].item() == pytest.approx(policy_loss.item(), rel=1e-5)
    for gradient, parameter in zip(expected, agent.network.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_clipped_value_loss_takes_the_larger_error_of_each_sample(by_hand: Any) -> None:
    agent = by_hand.agent(value_clip_range=0.1, **WHOLE)
    rows = only_minibatch(agent, by_hand.rollout())
    moved = rows.value + torch.linspace(-1, 1, len(rows.value))
    bounded = rows.value + (moved - rows.value).clamp(-0.1, 0.1)
    expected = torch.max((moved - rows.target) ** 2, (bounded - rows.target) ** 2)
    torch.testing.assert_close(Losses(agent.config)._value_loss(moved, rows), expected)


def test_advantages_and_targets_are_generalised_estimates_by_a_loop(by_hand: Any) -> None:
    agent = by_hand.agent(gamma=0.9, advantage={"kind": "gae", "lambda_": 0.8}, **WHOLE)
    rollout = by_hand.rollout(7, 3, ends={(1, 0): "terminated", (3, 1): "truncated"})
    value = values_of(agent, rollout.observation.reshape(21, 3)).reshape(7, 3)
    last = values_of(agent, rollout.next_observation)
    final = values_of(agent, rollout.final_observation)
    expected = np.zeros((7, 3))
    for n in range(3):
        following, following_value = 0.0, last[n]
        for t in reversed(range(7)):
            if rollout.episode_over[t, n]:
                which = [tuple(step) for step in rollout.final_steps].index((t, n))
                following, following_value = 0.0, final[which]
            keep = 0.0 if rollout.terminated[t, n] else 0.9
            delta = rollout.reward[t, n] + keep * following_value - value[t, n]
            following = expected[t, n] = delta + 0.9 * 0.8 * following
            following_value = value[t, n]
    rows = only_minibatch(agent, rollout)
    np.testing.assert_allclose(rows.advantage.view(7, 3), expected, atol=1e-5)
    np.testing.assert_allclose(rows.target.view(7, 3), expected + value, atol=1e-5)


@pytest.mark.parametrize("mix", MIXES)
def test_advantages_do_not_see_the_neighbouring_episode(mix: str, by_hand: Any) -> None:
    agent = by_hand.agent(**MIXES[mix] | WHOLE)
    rollout = rollout_for(agent, by_hand)
    other = rollout._replace(reward=rollout.reward.copy(), observation=rollout.observation.copy())
    other.reward[3:, 0] += 100.0  # the second episode of environment 0
    other.observation[3:, 0] += 1.0
    experiences = [agent._experience([each]) for each in (rollout, other)]
    left, right = (each._rows.advantage.view(6, 2) for each in experiences)
    torch.testing.assert_close(left[:3, 0], right[:3, 0])
    torch.testing.assert_close(left[:, 1], right[:, 1])
    assert not torch.allclose(left[3:, 0], right[3:, 0])


def test_truncated_episode_bootstraps_from_its_final_observation_and_a_terminated_one_does_not(
    by_hand: Any,
) -> None:
    agent = by_hand.agent(**WHOLE)
    for how, changes in (("truncated", True), ("terminated", False)):
        rollout = by_hand.rollout(ends={(2, 0): how})
        elsewhere = rollout._replace(final_observation=rollout.final_observation + 5)
        left, right = (only_minibatch(agent, each).advantage for each in (rollout, elsewhere))
        assert torch.equal(left, right) is not changes


def test_value_targets_are_made_from_advantages_before_they_are_standardised(by_hand: Any) -> None:
    rollout = by_hand.rollout()
    raw = only_minibatch(by_hand.agent(**WHOLE), rollout)
    for how in ("minibatch", "rollout"):
        standard = only_minibatch(by_hand.agent(**WHOLE | {"normalize_advantages": how}), rollout)
        torch.testing.assert_close(standard.target, raw.target)
        expected = (raw.advantage - raw.advantage.mean()) / raw.advantage.std()
        torch.testing.assert_close(standard.advantage, expected)


def test_advantages_are_standardised_over_time_and_environments_together(by_hand: Any) -> None:
    rollout = by_hand.rollout()
    rollout.reward[:, 0] += 10.0  # one environment pays more: standardising by column would hide it
    agent = by_hand.agent(**WHOLE | {"normalize_advantages": "rollout"})
    advantage = only_minibatch(agent, rollout).advantage.view(6, 2)
    assert advantage[:, 0].mean() > 0.5
    assert advantage.mean().item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("mix", MIXES)
def test_rows_that_are_no_transition_change_nothing(mix: str, by_hand: Any) -> None:
    settings = MIXES[mix] | {"batch_size": None}
    weights = []
    for garbage in (1.0, 50.0):
        agent = by_hand.agent(**settings)
        rollout = rollout_for(agent, by_hand, invalid=((3, 0), (4, 1)))
        for t, n in ((3, 0), (4, 1)):
            rollout.observation[t, n] = garbage
            rollout.reward[t, n] = garbage
            rollout.extras["log_prob"][t, n] = -garbage
        learn(agent, rollout)
        weights.append(weights_of(agent))
    torch.testing.assert_close(*weights)


def test_several_rollouts_are_learned_from_as_one(by_hand: Any) -> None:
    both = by_hand.rollout(6, 4, ends={(2, 0): "terminated", (3, 2): "truncated"})
    halves = []
    for first in (0, 2):
        part = slice(first, first + 2)
        mine = (both.final_steps[:, 1] // 2) == first // 2
        fields = {
            name: getattr(both, name)[:, part]
            for name in ("observation", "action", "reward", "terminated", "episode_over", "valid")
        }
        halves.append(
            both._replace(
                **fields,
                extras={"log_prob": both.extras["log_prob"][:, part]},
                next_observation=both.next_observation[part],
                final_steps=both.final_steps[mine] - [0, first],
                final_observation=both.final_observation[mine],
                streams=both.streams[part],
            )
        )
    one, two = by_hand.agent(**WHOLE), by_hand.agent(**WHOLE)
    learn(one, both)
    learn(two, *halves)
    torch.testing.assert_close(weights_of(one), weights_of(two))


def test_epochs_end_where_the_policy_has_moved_too_far(by_hand: Any) -> None:
    settings: dict[str, Any] = {
        "epochs": 50,
        "batch_size": 4,
        "optimizer": {"learning_rate": 0.05},
    }
    free = learn(by_hand.agent(**settings), by_hand.rollout())
    assert len(free) == 50 * 3
    stopped = learn(by_hand.agent(target_kl=0.05, **settings), by_hand.rollout())
    assert len(stopped) % 3 == 0  # whole epochs
    assert 3 <= len(stopped) < 150
    means = [
        torch.stack([each["approximate_kl"] for each in stopped[i : i + 3]]).mean()
        for i in range(0, len(stopped), 3)
    ]
    assert means[-1] > 0.05
    assert all(mean <= 0.05 for mean in means[:-1])


def test_statistics_move_after_the_last_update_and_not_before(by_hand: Any) -> None:
    agent = by_hand.agent(**MIXES["normalised"])
    statistics = agent.network.normalizer.statistics[0]
    assert isinstance(statistics, RunningMeanVariance)
    rollout = by_hand.rollout(invalid=((3, 0),))
    for batch in agent.minibatches([rollout]):
        assert statistics.count == 0
        assert agent.reward_scaler.statistics.count == 0
        agent.update(batch)
    seen = rollout.observation[rollout.valid]
    np.testing.assert_allclose(statistics.mean, seen.mean(axis=0), rtol=1e-5)
    assert statistics.count == agent.reward_scaler.statistics.count == 11
    assert "normalizer.statistics.0.mean" in agent.policy_weights()


def test_rewards_are_normalised_then_transformed(by_hand: Any) -> None:
    settings = WHOLE | {"gamma": 0.0, "advantage": {"kind": "gae", "lambda_": 0.0}}
    rollout = by_hand.rollout()
    plain = by_hand.agent(**settings, reward={"scale": 2.0, "clip": 0.5})
    expected = np.clip(2 * rollout.reward, -0.5, 0.5)
    np.testing.assert_allclose(
        only_minibatch(plain, rollout).target.view(6, 2), expected, atol=1e-6
    )
    scaled = by_hand.agent(**settings, normalize_rewards=True)
    learn(scaled, rollout)
    deviation = rollout.reward.std()  # with γ = 0 the return so far is the reward
    np.testing.assert_allclose(
        only_minibatch(scaled, rollout).target.view(6, 2), rollout.reward / deviation, rtol=1e-4
    )


def test_clip_ratio_entropy_coefficient_and_learning_rate_follow_their_schedules(
    by_hand: Any,
) -> None:
    falling = {"kind": "linear", "start": 0.4, "end": 0.0}
    agent = by_hand.agent(
        objective={"kind": "clipped", "clip_ratio": falling},
        entropy_coefficient={"kind": "linear", "start": 0.2, "end": 0.1},
        optimizer={"learning_rate": 1e-3, "decay": "linear"},
    )
    agent.set_progress(500)
    assert agent.clip_ratio == pytest.approx(0.2)
    assert agent.entropy_coefficient == pytest.approx(0.15)
    assert agent.metrics()["learning_rate"] == pytest.approx(5e-4)


def test_metrics_name_what_a_reader_of_curves_needs(by_hand: Any) -> None:
    agent = by_hand.agent(**MIXES["ppo"])
    assert agent.metrics().keys() == {"learning_rate", "gradient_norm"}
    recorded = learn(agent, by_hand.rollout())
    assert set(recorded[0]) == {
        "policy_loss", "value_loss", "entropy", "approximate_kl", "clip_fraction",
    }  # fmt: skip
    assert all(not value.requires_grad and value.shape == () for value in recorded[0].values())
    assert recorded[0]["entropy"].item() == pytest.approx(np.log(2), rel=1e-2)
    assert "explained_variance" in agent.metrics()
    constant = by_hand.agent(**WHOLE | {"gamma": 0.0, "advantage": {"kind": "gae", "lambda_": 0.0}})
    learn(constant, by_hand.rollout(reward=np.ones((6, 2), np.float32)))
    assert "explained_variance" not in constant.metrics()  # it is no number there


@pytest.mark.parametrize("mix", MIXES)
def test_same_seed_same_weights_and_other_seed_other_weights(mix: str, by_hand: Any) -> None:
    agents = [by_hand.agent(seed, **MIXES[mix]) for seed in (0, 0, 1)]
    for agent in agents:
        for seed in range(3):
            learn(agent, rollout_for(agent, by_hand, seed=seed))
    assert torch.equal(weights_of(agents[0]), weights_of(agents[1]))
    assert not torch.equal(weights_of(agents[0]), weights_of(agents[2]))


@pytest.mark.parametrize("mix", MIXES)
def test_a_loaded_agent_continues_bit_for_bit(mix: str, by_hand: Any) -> None:
    agent, other = by_hand.agent(**MIXES[mix]), by_hand.agent(9, **MIXES[mix])
    for seed in range(3):
        learn(agent, rollout_for(agent, by_hand, seed=seed))
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    for seed in range(3, 6):
        learn(agent, rollout_for(agent, by_hand, seed=seed))
        learn(other, rollout_for(agent, by_hand, seed=seed))
    left, right = agent.network.state_dict(), other.network.state_dict()
    assert all(torch.equal(tensor, right[name]) for name, tensor in left.items())


def test_building_and_updating_leave_global_generators_alone(by_hand: Any) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for mix in MIXES.values():
        agent = by_hand.agent(**mix)
        learn(agent, rollout_for(agent, by_hand))
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("mix", ["ppo", "lstm", "normalised"])
def test_policy_in_another_process_acts_like_the_one_that_shares_the_network(
    mix: str, by_hand: Any
) -> None:
    agent = by_hand.agent(**MIXES[mix])
    learn(agent, rollout_for(agent, by_hand))
    context = PolicyContext(
        by_hand.observations, gymnasium.spaces.Discrete(2), np.arange(4), 4, 1_000, Seeds(3)
    )
    near, far = agent.policy(context), PpoPolicy(agent.config, context)
    far.set_weights(agent.policy_weights())
    assert isinstance(agent, Agent)
    assert isinstance(near, Policy)
    observation = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    for mode in ("explore", "greedy"):
        state = near.initial_state(4)
        left = near.act(observation, state, mode=mode)  # type: ignore[arg-type]
        right = far.act(observation, state, mode=mode)  # type: ignore[arg-type]
        np.testing.assert_array_equal(left.action, right.action)
        np.testing.assert_array_equal(left.extras["log_prob"], right.extras["log_prob"])


def test_no_rollout_and_no_transition_mean_no_update(by_hand: Any) -> None:
    agent = by_hand.agent(**MIXES["ppo"])
    before = weights_of(agent)
    rollout = by_hand.rollout(2, 1, invalid=((0, 0), (1, 0)))
    assert learn(agent, rollout) == []
    assert torch.equal(before, weights_of(agent))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"objective": "policy-gradient", "target_kl": 0.1}, "measures no divergence"),
        ({"advantage": "returns", "value_clip_range": 0.2}, "no value function"),
        ({"advantage": {"kind": "vtrace", "trace_clip": 1.5}}, "rho_clip >= trace_clip"),
        ({"network": {"recurrent": "lstm", "share_encoder": False}}, "share_encoder"),
    ],
)
def test_mixes_without_a_meaning_are_refused_in_a_sentence(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        PpoConfig(**settings)


def test_an_agent_for_a_dict_of_actions_has_one_network_head_for_all_parts() -> None:
    parts = gymnasium.spaces.Dict({"a": gymnasium.spaces.Discrete(3), "b": BOX})
    space = gymnasium.spaces.Box(-1.0, 1.0, (3,))
    agent = PpoAgent(PpoConfig(), AgentContext(space, parts, 1_000, Seeds(0)))
    assert agent.network.actions.num_parameters == 3 + 2
