"""Learning from rollouts of older weights: V-trace in the advantage slot."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlplug.protocols import PolicyContext
from rlplug.seeding import Seeds

WHOLE = {"batch_size": None, "epochs": 1, "normalize_advantages": "off"}
PLAIN = WHOLE | {"objective": "policy-gradient"}
ENDS = {(1, 0): "terminated", (3, 1): "truncated", (5, 2): "truncated"}
ENCODED = {"network": {"encoder": {"kind": "mlp", "hidden_sizes": (8,)}}}


def rows_of(agent: Any, *rollouts: Any) -> Any:
    """All rows in order, whether they are transitions or not."""
    return agent._experience(rollouts)._rows


def log_probs(agent: Any, rollout: Any) -> np.ndarray[Any, Any]:
    """`[T, N]` of the actions under the agent's network as it is."""
    with torch.no_grad():
        seen = agent.network.see(torch.from_numpy(rollout.observation.reshape(-1, 3)))
        log_prob = agent.network(seen)[0].log_prob(torch.from_numpy(rollout.action.reshape(-1)))
    return log_prob.view(rollout.valid.shape).numpy()


def values(agent: Any, observation: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        seen = agent.network.see(torch.from_numpy(observation.reshape(-1, 3)))
        return agent.network.values(seen).view(observation.shape[:-1]).numpy()


def fresh(agent: Any, rollout: Any) -> Any:
    """The rollout as if these weights had acted."""
    return rollout._replace(extras=rollout.extras | {"log_prob": log_probs(agent, rollout)})


def vtrace_by_a_loop(agent: Any, rollout: Any, gamma: float) -> tuple[np.ndarray[Any, Any], ...]:
    """Targets, advantages and weights of an `advantage` slot with λ and two clips, row by row."""
    config = agent.config.advantage
    ratio = np.exp(log_probs(agent, rollout) - rollout.extras["log_prob"])
    value, final = values(agent, rollout.observation), values(agent, rollout.final_observation)
    target, advantage = np.zeros(ratio.shape), np.zeros(ratio.shape)
    finals = {tuple(step): final[f] for f, step in enumerate(rollout.final_steps.tolist())}
    for n in range(ratio.shape[1]):
        next_value = next_target = values(agent, rollout.next_observation)[n]
        for t in reversed(range(len(ratio))):
            if not rollout.valid[t, n]:
                continue
            if rollout.episode_over[t, n]:
                next_value = next_target = finals[t, n]
            discount = 0.0 if rollout.terminated[t, n] else gamma
            reward = rollout.reward[t, n]
            error = reward + discount * next_value - value[t, n]
            carried = discount * (next_target - next_value) * config.lambda_
            target[t, n] = value[t, n] + min(config.rho_clip, ratio[t, n]) * error
            target[t, n] += min(config.trace_clip, ratio[t, n]) * carried
            advantage[t, n] = error + carried
            next_value, next_target = value[t, n], target[t, n]
    return target, advantage, np.where(rollout.valid, np.minimum(config.rho_clip, ratio), 0.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("clips", [(1.0, 1.0, 1.0), (0.9, 1.3, 1.1), (0.5, 0.8, 0.6)])
def test_targets_advantages_and_weights_are_those_of_a_loop(
    clips: tuple[float, float, float], seed: int, by_hand: Any
) -> None:
    lambda_, rho_clip, trace_clip = clips
    slot = {"kind": "vtrace", "lambda_": lambda_, "rho_clip": rho_clip, "trace_clip": trace_clip}
    agent = by_hand.agent(seed, gamma=0.9, advantage=slot, **WHOLE)
    rollout = by_hand.rollout(8, 3, ends=ENDS, invalid=((2, 0), (4, 1)), seed=seed)
    rows = rows_of(agent, rollout)
    expected = vtrace_by_a_loop(agent, rollout, gamma=0.9)
    for mine, theirs in zip((rows.target, rows.advantage, rows.rho), expected, strict=True):
        np.testing.assert_allclose(mine.view(8, 3), theirs, atol=1e-6)


@pytest.mark.parametrize("lambda_", [0.0, 0.8, 1.0])
def test_on_fresh_data_vtrace_is_gae(lambda_: float, by_hand: Any) -> None:
    agents = [
        by_hand.agent(advantage={"kind": kind, "lambda_": lambda_}, **WHOLE)
        for kind in ("vtrace", "gae")
    ]
    rollout = fresh(agents[0], by_hand.rollout(8, 3, ends=ENDS, invalid=((2, 0),)))
    corrected, plain = (rows_of(agent, rollout) for agent in agents)
    torch.testing.assert_close(corrected.advantage, plain.advantage, atol=1e-5, rtol=1e-5)
    valid = torch.from_numpy(rollout.valid).flatten()
    torch.testing.assert_close(corrected.target[valid], plain.target[valid], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("objective", ["clipped", "policy-gradient"])
def test_on_fresh_data_the_whole_update_is_that_of_gae(objective: str, by_hand: Any) -> None:
    """So on fresh data appo is ppo, and impala a2c."""
    settings = {"objective": objective, "epochs": 2, "batch_size": 4}
    agents = [
        by_hand.agent(advantage={"kind": kind, "lambda_": 0.9}, **settings)
        for kind in ("vtrace", "gae")
    ]
    rollout = fresh(agents[0], by_hand.rollout(8, 3, ends=ENDS))
    for agent in agents:
        for batch in agent.minibatches([rollout]):
            agent.update(batch)
    for left, right in zip(*(agent.network.parameters() for agent in agents), strict=True):
        torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-3)


def test_with_memory_the_states_that_acted_begin_what_is_judged(by_hand: Any) -> None:
    """With rows in the order of time, and an LSTM over each episode, as `evaluate` would walk."""
    agent = by_hand.agent(advantage="vtrace", network={"recurrent": "lstm"}, **WHOLE)
    network = agent.network
    rollout = by_hand.rollout(5, 2, ends={(2, 0): "truncated"}, state_size=network.state_size)
    expected = np.zeros((5, 2), np.float32)
    with torch.no_grad():
        state = torch.from_numpy(rollout.extras["recurrent_state"][0])
        for t in range(5):
            given = torch.from_numpy(rollout.extras["recurrent_state"][t])
            began = torch.from_numpy(rollout.episode_over[t - 1] if t else np.ones(2, bool))
            state = torch.where(began[:, None], given, state)
            seen = network.see(torch.from_numpy(rollout.observation[t]))
            distribution, _, state = network.act(seen, state)
            expected[t] = distribution.log_prob(torch.from_numpy(rollout.action[t])).numpy()
    ratio = np.exp(expected - rollout.extras["log_prob"])
    np.testing.assert_allclose(
        rows_of(agent, rollout).rho.view(5, 2), np.minimum(1, ratio), atol=1e-5
    )


def test_the_policy_gradient_is_weighed_by_rho_and_the_surrogate_is_not(by_hand: Any) -> None:
    rollout = by_hand.rollout(6, 2, ends={(2, 0): "terminated"})
    for objective in ("policy-gradient", "clipped"):
        agent = by_hand.agent(advantage="vtrace", **WHOLE | {"objective": objective})
        (batch,) = agent.minibatches([rollout])
        rows = batch.rows
        log_prob = torch.from_numpy(log_probs(agent, rollout)).flatten()
        ratio = (log_prob - rows.log_prob).exp()
        assert (ratio > 1).any()
        assert (ratio < 1).any()
        surrogate = torch.min(ratio * rows.advantage, ratio.clamp(0.8, 1.2) * rows.advantage)
        gradient = ratio.clamp(max=1) * log_prob * rows.advantage
        expected = -(surrogate if objective == "clipped" else gradient).mean()
        torch.testing.assert_close(agent.update(batch).metrics["policy_loss"], expected)


def two_armed(probability: float, by_hand: Any, **settings: Any) -> tuple[Any, Any]:
    """An agent that takes arm 1 this often, and a rollout where a coin chose and arm 1 paid 1."""
    agent = by_hand.agent(**WHOLE, **settings)
    with torch.no_grad():
        agent.network.policy_head.weight.zero_()
        agent.network.policy_head.bias[:] = torch.tensor([1 - probability, probability]).log()
    action = np.array([[0, 1]])
    rollout = by_hand.rollout(
        1, 2, ends={(0, 0): "terminated", (0, 1): "terminated"}, action=action,
        reward=action.astype(np.float32), extras={"log_prob": np.log([[0.5, 0.5]]).astype("f4")},
    )  # fmt: skip
    rollout.observation[:] = 0.0
    return agent, rollout


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        # the mean target is the value where Σ ρ (r − v) = 0; μ pays 0.5, π pays 0.9
        ({"kind": "gae"}, 0.5),
        ({"kind": "vtrace", "rho_clip": 2.0}, 0.9),
        ({"kind": "vtrace"}, 0.5 / 0.6),  # ρ = 0.2 and 1: between the two, as the paper says
    ],
)
def test_values_are_those_of_the_policy_that_learns_not_of_the_one_that_acted(
    slot: dict[str, Any], expected: float, by_hand: Any
) -> None:
    agent, rollout = two_armed(0.9, by_hand, advantage=slot)
    drifts = []
    for value in (expected, expected + 0.1):
        with torch.no_grad():
            agent.network.value_head.weight.zero_()
            agent.network.value_head.bias[:] = value
        drifts.append(float(rows_of(agent, rollout).target.mean()) - value)
    assert drifts[0] == pytest.approx(0, abs=1e-6)
    assert drifts[1] < -0.01


def test_values_of_the_weights_that_acted_are_neither_made_nor_used(by_hand: Any) -> None:
    agent = by_hand.agent(advantage="vtrace", **ENCODED)
    space = gymnasium.spaces.Discrete(2)
    context = PolicyContext(by_hand.observations, space, np.arange(4), 4, 1_000, Seeds(3))
    step = agent.policy(context).act(np.zeros((4, 3), np.float32), None, mode="explore")
    assert step.extras.keys() == {"log_prob"}
    rollout = by_hand.rollout(ends=ENDS, num_envs=3)
    with_values = rollout._replace(
        extras=rollout.extras | {"value": np.full(rollout.valid.shape, 99.0, np.float32)}
    )
    for left, right in zip(rows_of(agent, rollout), rows_of(agent, with_values), strict=True):
        if isinstance(left, torch.Tensor):
            assert torch.equal(left, right)


def test_rollouts_of_several_workers_and_ages_are_learned_from_at_once(by_hand: Any) -> None:
    agent = by_hand.agent(advantage="vtrace", **WHOLE)
    short, long_ = by_hand.rollout(3, 1, seed=1), by_hand.rollout(6, 2, ends={(2, 0): "truncated"})
    rollouts = [short._replace(weights_version=4), long_._replace(weights_version=2)]
    joined = rows_of(agent, *rollouts)
    apart = [rows_of(agent, rollout) for rollout in rollouts]
    torch.testing.assert_close(joined.target, torch.cat([rows.target for rows in apart]))
    torch.testing.assert_close(joined.rho, torch.cat([rows.rho for rows in apart]))


def test_reports_say_how_much_the_ratios_weigh(by_hand: Any) -> None:
    agent, rollout = two_armed(0.9, by_hand, advantage="vtrace")
    for batch in agent.minibatches([rollout]):
        agent.update(batch)
    reported = agent.metrics()
    assert reported["rho"] == pytest.approx((0.2 + 1.0) / 2)
    assert reported["rho_clip_fraction"] == pytest.approx(0.5)
    rollout = fresh(agent, by_hand.rollout(invalid=((2, 0),)))
    rows_of(agent, rollout)
    reported = agent.metrics()
    assert reported["rho"] == pytest.approx(1.0)
    assert reported["rho_clip_fraction"] == 0.0


def test_what_is_on_policy_reports_no_ratios(by_hand: Any) -> None:
    agent = by_hand.agent(**WHOLE)
    rows_of(agent, by_hand.rollout())
    assert agent.metrics().keys().isdisjoint({"rho", "rho_clip_fraction"})
