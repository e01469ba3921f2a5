"""Soft actor-critic's agent: losses against numpy, values that are known, and all that it keeps."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from actor_critic_world import (
    BOX,
    OBSERVATIONS,
    SIZE,
    agent_context,
    forward,
    learn_from,
    linear_layers,
    make_batch,
    observe,
    policy_context,
    same_tensors,
    sequential_layers,
)

from rlplug.algorithms.sac.agent import SacAgent
from rlplug.algorithms.sac.config import DiscreteSacConfig, SacConfig
from rlplug.algorithms.sac.policy import SacPolicy
from rlplug.data import TransitionBatch
from rlplug.errors import IncompatibleError
from rlplug.protocols import Agent, AgentContext, Policy
from rlplug.seeding import Seeds
from rlplug.testing.probes import ActionFromObservation, BoxBounds, ConstantReward

DISCRETE = gymnasium.spaces.Discrete(3, start=2)
KINDS = {"box": (SacConfig, BOX), "discrete": (DiscreteSacConfig, DISCRETE)}
NETWORK = {"hidden_sizes": [8, 7]}
each_kind = pytest.mark.parametrize("kind", KINDS)


def make_agent(kind: str = "box", seed: int = 0, **settings: Any) -> SacAgent:
    config, actions = KINDS[kind]
    settings.setdefault("network", NETWORK)
    return SacAgent(config(**settings), agent_context(actions, seed))


def batch_for(kind: str, seed: int = 0, **fields: Any) -> TransitionBatch:
    return make_batch(KINDS[kind][1], seed, **fields)


def everything(agent: SacAgent) -> dict[str, torch.Tensor]:
    parts = {"actor": agent.actor, "critic": agent.critic, "target": agent.target_critic}
    tensors = {
        f"{part}.{name}": tensor.clone()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    return tensors | {"temperature": agent.temperature.value}


# ---- the equations, in plain numpy


def numpy_policy(agent: SacAgent, observation: Any, noise: Any) -> tuple[Any, Any]:
    """Actions in (−1, 1) and their log-probabilities, from the change of variables itself."""
    mean, log_std = np.split(forward(observation, sequential_layers(agent.actor.layers)), 2, axis=1)
    std = np.exp(np.clip(log_std, -20, 2))
    raw = mean + std * noise
    density = np.exp(-0.5 * ((raw - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    return np.tanh(raw), np.log(density / (1 - np.tanh(raw) ** 2)).sum(1)


def numpy_q(critic: Any, *inputs: Any) -> Any:
    x = np.concatenate(inputs, axis=1)
    return np.stack([forward(x, layers) for layers in linear_layers(2, critic.members)])


def arrays(batch: TransitionBatch) -> dict[str, Any]:
    return {name: field.double().numpy() for name, field in batch._asdict().items()}


def test_box_losses_are_those_of_the_equations() -> None:
    agent, batch = make_agent(temperature={"kind": "automatic", "initial": 0.3}), batch_for("box")
    before, b = copy.deepcopy(agent), arrays(batch)
    noise = torch.Generator()
    noise.set_state(agent.generator.get_state())
    draws = [torch.randn(SIZE, 2, generator=noise).double().numpy() for _ in range(2)]
    metrics, priorities = agent.update(batch)

    following, log_prob = numpy_policy(before, b["next_observation"], draws[0])
    next_q = numpy_q(before.target_critic, b["next_observation"], following)[..., 0].min(0)
    target = b["reward"] + b["discount"] * (next_q - 0.3 * log_prob)
    low, high = BOX.low.astype(float), BOX.high.astype(float)
    taken = 2 * (b["action"] - low) / (high - low) - 1
    error = numpy_q(before.critic, b["observation"], taken)[..., 0] - target
    assert metrics["critic_loss"].item() == pytest.approx(0.5 * (error**2).sum(0).mean(), rel=1e-4)
    assert priorities is not None
    np.testing.assert_allclose(priorities, np.abs(error).mean(0), rtol=1e-4)

    drawn, log_prob = numpy_policy(before, b["observation"], draws[1])
    q_value = numpy_q(agent.critic, b["observation"], drawn)[..., 0].min(0)  # after its step
    assert metrics["actor_loss"].item() == pytest.approx(
        (0.3 * log_prob - q_value).mean(), rel=1e-4
    )
    assert metrics["entropy"].item() == pytest.approx(-log_prob.mean(), rel=1e-4)
    assert metrics["temperature"].item() == pytest.approx(0.3)


def test_discrete_losses_are_those_of_the_equations() -> None:
    agent, batch = (
        make_agent("discrete", temperature={"kind": "automatic", "initial": 0.3}),
        batch_for("discrete"),
    )
    before, b = copy.deepcopy(agent), arrays(batch)
    metrics, priorities = agent.update(batch)

    def log_policy(observation: Any) -> Any:
        logits = forward(observation, sequential_layers(before.actor.layers))
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))

    log_prob = log_policy(b["next_observation"])
    next_q = numpy_q(before.target_critic, b["next_observation"]).min(0)
    next_value = (np.exp(log_prob) * (next_q - 0.3 * log_prob)).sum(1)
    target = b["reward"] + b["discount"] * next_value
    taken = b["action"].astype(int) - 2  # the space starts at 2
    q_values = numpy_q(before.critic, b["observation"])
    error = q_values[:, np.arange(SIZE), taken] - target
    assert metrics["critic_loss"].item() == pytest.approx(0.5 * (error**2).sum(0).mean(), rel=1e-4)
    assert priorities is not None
    np.testing.assert_allclose(priorities, np.abs(error).mean(0), rtol=1e-4)

    log_prob = log_policy(b["observation"])
    q_value = numpy_q(agent.critic, b["observation"]).min(0)
    loss = (np.exp(log_prob) * (0.3 * log_prob - q_value)).sum(1)
    assert metrics["actor_loss"].item() == pytest.approx(loss.mean(), rel=1e-4)
    entropy = -(np.exp(log_prob) * log_prob).sum(1)
    assert metrics["entropy"].item() == pytest.approx(entropy.mean(), rel=1e-4)


# ---- values that are known


@pytest.mark.parametrize(("kind", "n_step"), [("box", 1), ("discrete", 1), ("discrete", 3)])
def test_truncated_episodes_are_worth_the_whole_future_and_terminated_ones_are_not(
    kind: str, n_step: int
) -> None:
    # with one step Q = 1 + γ (Q + α H), so that (1 + γ α H) / (1 − γ) is 10.62 when truncated
    gamma, alpha = 0.9, 0.1
    box = kind == "box"
    config = KINDS[kind][0](
        network={"hidden_sizes": [32]},
        actor_optimizer={"learning_rate": 3e-3},
        critic_optimizer={"learning_rate": 1e-2, "decay": "linear"},
        temperature={"kind": "fixed", "value": alpha},
        target_update_rate=0.3,
    )
    states = torch.eye(3)
    for truncated in (True, False):
        probe = partial(ConstantReward, truncated=truncated, steps=3, box=box)
        agent = learn_from(probe, SacAgent, config, updates=400, gamma=gamma, n_step=n_step)
        actions = torch.zeros(3, 1) if box else torch.zeros(3, dtype=torch.int64)
        q_value = agent.kind.taken(agent.critic, states, actions).min(0).values
        entropy = math.log(2)  # uniform over (−1, 1), or over two actions, as nothing is preferred
        expected = soft_values(gamma, alpha * entropy, n_step, truncated=truncated)
        np.testing.assert_allclose(q_value.detach(), expected, atol=0.15)


def soft_values(gamma: float, bonus: float, n_step: int, *, truncated: bool) -> Any:
    """Q of three phases: windows of up to `n_step` steps end with the episode, after phase 2."""
    system, constant = np.eye(3), np.zeros(3)
    for phase in range(3):
        steps = min(n_step, 3 - phase)
        constant[phase] = sum(gamma**k for k in range(steps))
        if truncated or phase + steps < 3:
            constant[phase] += gamma**steps * bonus
            system[phase, (phase + steps) % 3] -= gamma**steps
    return np.linalg.solve(system, constant)


def test_a_terminated_transition_learns_its_reward_alone() -> None:
    for kind in KINDS:
        one, other = make_agent(kind), make_agent(kind)
        batch = batch_for(kind, discount=torch.zeros(SIZE))
        one.update(batch)
        other.update(batch._replace(next_observation=torch.rand(SIZE, 3) * 100))
        assert same_tensors(everything(one), everything(other))


@pytest.mark.parametrize("probe", ["box-bounds", "box", "discrete"])
def test_the_better_action_is_found(probe: str) -> None:
    box = probe != "discrete"
    config = (SacConfig if box else DiscreteSacConfig)(
        network={"hidden_sizes": [32]},
        actor_optimizer={"learning_rate": 1e-2, "decay": "linear"},
        critic_optimizer={"learning_rate": 1e-2, "decay": "linear"},
        temperature={"kind": "fixed", "value": 0.01},
    )
    make = BoxBounds if probe == "box-bounds" else partial(ActionFromObservation, box=box)
    env = make()
    agent = learn_from(make, SacAgent, config, updates=400)
    context = AgentContext(env.observation_space, env.action_space, 1_000, Seeds(0))
    policy = agent.policy(
        policy_context(env.action_space)._replace(observation_space=context.observation_space)
    )
    action = policy.act(env.observations, None, mode="greedy").action
    np.testing.assert_allclose(action, env.best_actions, atol=0.15)


# ---- slots and settings


def test_importance_weights_act_sample_by_sample() -> None:
    only_first = torch.tensor([float(SIZE), *[0.0] * (SIZE - 1)])
    weighted, alone = make_agent("discrete"), make_agent("discrete")
    whole = batch_for("discrete")
    weighted.update(whole._replace(importance_weight=only_first))
    alone.update(TransitionBatch(*(field[:1] for field in whole)))
    for name, tensor in everything(weighted).items():
        torch.testing.assert_close(tensor, everything(alone)[name], msg=name)


def test_weights_that_are_all_zero_change_nothing_at_all() -> None:
    for kind in KINDS:
        agent = make_agent(kind)
        before = everything(agent)
        agent.update(batch_for(kind, importance_weight=torch.zeros(SIZE)))
        assert same_tensors(before, everything(agent))


@each_kind
def test_target_networks_equal_the_critics_at_the_start_and_follow_by_their_rate(kind: str) -> None:
    agent = make_agent(kind, target_update_rate=0.25)
    assert same_tensors(dict(agent.target_critic.state_dict()), dict(agent.critic.state_dict()))
    before = {name: tensor.clone() for name, tensor in agent.target_critic.state_dict().items()}
    agent.update(batch_for(kind))
    for name, tensor in agent.target_critic.state_dict().items():
        expected = 0.75 * before[name] + 0.25 * agent.critic.state_dict()[name]
        torch.testing.assert_close(tensor, expected)


@each_kind
def test_critics_differ_from_each_other(kind: str) -> None:
    first, second = linear_layers(2, make_agent(kind).critic.members)
    assert all((a[0] != b[0]).any() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("num_critics", [1, 3])
@each_kind
def test_any_number_of_critics(kind: str, num_critics: int) -> None:
    metrics, priorities = make_agent(kind, num_critics=num_critics).update(batch_for(kind))
    assert priorities is not None
    assert priorities.shape == (SIZE,)
    assert metrics["critic_loss"].isfinite()


@each_kind
def test_the_actor_step_leaves_no_gradient_in_the_critics(kind: str) -> None:
    agent = make_agent(kind)
    agent.update(batch_for(kind))
    norm = agent.critic_optimizer.gradient_norm()
    with agent.gradient.region():
        agent.gradient.following(batch_for(kind), agent.temperature.value)
        agent.gradient.of_actor(batch_for(kind), agent.temperature.value)
    assert agent.critic_optimizer.gradient_norm() == norm
    assert all(parameter.requires_grad for parameter in agent.critic.parameters())


# ---- what it keeps and reports


@each_kind
def test_a_loaded_agent_continues_bit_for_bit(kind: str) -> None:
    agent, other = make_agent(kind), make_agent(kind, 9)
    for seed in range(4):
        agent.update(batch_for(kind, seed))
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    assert same_tensors(everything(agent), everything(other))  # critic 2 in critic 2, too
    for seed in range(4, 8):
        left, right = (each.update(batch_for(kind, seed)) for each in (agent, other))
        assert same_tensors(left.metrics, right.metrics)
    assert same_tensors(everything(agent), everything(other))


@each_kind
def test_same_seed_same_weights_and_other_seed_other_weights(kind: str) -> None:
    runs = [make_agent(kind, seed) for seed in (0, 0, 1)]
    for agent in runs:
        for seed in range(5):
            agent.update(batch_for(kind, seed))
    assert same_tensors(everything(runs[0]), everything(runs[1]))
    assert not same_tensors(everything(runs[0]), everything(runs[2]))


@each_kind
def test_building_updating_and_acting_leave_global_generators_alone(kind: str) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    agent = make_agent(kind)
    agent.update(batch_for(kind))
    agent.policy(policy_context(KINDS[kind][1])).act(observe(4), None, mode="sample")
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002


@each_kind
def test_metrics_are_detached_scalars(kind: str) -> None:
    agent = make_agent(kind)
    metrics, _ = agent.update(batch_for(kind))
    assert set(metrics) == {"critic_loss", "actor_loss", "q_value", "entropy", "temperature"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    rates = {"actor_learning_rate", "critic_learning_rate", "temperature_learning_rate"}
    assert rates <= agent.metrics().keys()


@each_kind
def test_learning_rates_follow_their_decay(kind: str) -> None:
    decay = {"learning_rate": 1e-3, "decay": "linear"}
    agent = make_agent(
        kind,
        actor_optimizer=decay,
        critic_optimizer=decay,
        temperature={"kind": "automatic", "optimizer": decay},
    )
    agent.set_progress(250)
    rates = [v for name, v in agent.metrics().items() if name.endswith("learning_rate")]
    assert rates == pytest.approx([7.5e-4] * 3)


@each_kind
def test_policy_in_another_process_acts_like_the_one_that_shares_the_actor(kind: str) -> None:
    agent, context = make_agent(kind), policy_context(KINDS[kind][1], seed=3)
    agent.update(batch_for(kind))
    near, far = agent.policy(context), SacPolicy(agent.config, context)
    far.set_weights(agent.policy_weights())
    assert isinstance(agent, Agent)
    assert isinstance(near, Policy)
    for mode in ("explore", "sample", "greedy"):
        left = near.act(observe(4), None, mode=mode)  # type: ignore[arg-type]
        right = far.act(observe(4), None, mode=mode)  # type: ignore[arg-type]
        np.testing.assert_array_equal(left.action, right.action)


@pytest.mark.parametrize(
    "actions",
    [
        gymnasium.spaces.Box(-np.inf, np.inf, (2,)),
        gymnasium.spaces.Box(0, 5, (2,), np.int64),
        gymnasium.spaces.MultiDiscrete([2, 3]),
    ],
    ids=str,
)
def test_actions_that_it_cannot_take_are_refused(actions: gymnasium.Space[Any]) -> None:
    with pytest.raises(IncompatibleError):
        SacAgent(SacConfig(), AgentContext(OBSERVATIONS, actions, 1_000, Seeds(0)))
