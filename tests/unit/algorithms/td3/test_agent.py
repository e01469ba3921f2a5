"""The deterministic agent: targets against numpy, the delay, DDPG as a setting, what it keeps."""

from __future__ import annotations

import copy
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

from rlplug.algorithms.td3.agent import Td3Agent
from rlplug.algorithms.td3.config import Td3Config
from rlplug.algorithms.td3.policy import Td3Policy
from rlplug.algorithms.td3.spec import DDPG, TD3
from rlplug.data import TransitionBatch
from rlplug.errors import IncompatibleError
from rlplug.protocols import Agent, AgentContext, Policy
from rlplug.seeding import Seeds
from rlplug.testing.probes import ActionFromObservation, BoxBounds, ConstantReward

NETWORK = {"hidden_sizes": [8, 7]}
MEMBERS: dict[str, dict[str, Any]] = {
    spec.name: spec.defaults["agent"] | {"network": NETWORK} for spec in (TD3, DDPG)
}
each_member = pytest.mark.parametrize("name", MEMBERS)


def make_agent(name: str = "td3", seed: int = 0, **settings: Any) -> Td3Agent:
    return Td3Agent(Td3Config(**(MEMBERS[name] | settings)), agent_context(BOX, seed))


def everything(agent: Td3Agent) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": tensor.clone()
        for part in ("actor", "critic", "target_actor", "target_critic")
        for name, tensor in getattr(agent, part).state_dict().items()
    }


# ---- the equations, in plain numpy


def numpy_action(actor: Any, observation: Any) -> Any:
    return np.tanh(forward(observation, sequential_layers(actor.layers)))


def numpy_q(agent_part: Any, members: int, observation: Any, action: Any) -> Any:
    x = np.concatenate((observation, action), axis=1)
    layers = linear_layers(members, agent_part.members)
    return np.stack([forward(x, member)[:, 0] for member in layers])


@each_member
def test_losses_are_those_of_the_equations(name: str) -> None:
    every_update = {"actor_update_every_updates": 1}
    agent, batch = make_agent(name, **every_update), make_batch(BOX)
    before = copy.deepcopy(agent)
    b = {field: tensor.double().numpy() for field, tensor in batch._asdict().items()}
    members = 2 if name == "td3" else 1
    noise = torch.Generator()
    noise.set_state(agent.generator.get_state())
    metrics, priorities = agent.update(batch)

    following = numpy_action(before.target_actor, b["next_observation"])
    if name == "td3":
        draw = torch.empty(SIZE, 2).normal_(std=0.2, generator=noise).double().numpy()
        following = np.clip(following + np.clip(draw, -0.5, 0.5), -1, 1)
    next_q = numpy_q(before.target_critic, members, b["next_observation"], following).min(0)
    target = b["reward"] + b["discount"] * next_q
    low, high = BOX.low.astype(float), BOX.high.astype(float)
    taken = 2 * (b["action"] - low) / (high - low) - 1
    error = numpy_q(before.critic, members, b["observation"], taken) - target
    assert metrics["critic_loss"].item() == pytest.approx((error**2).sum(0).mean(), rel=1e-4)
    assert priorities is not None
    np.testing.assert_allclose(priorities, np.abs(error).mean(0), rtol=1e-4)

    chosen = numpy_action(before.actor, b["observation"])
    q_value = numpy_q(agent.critic, members, b["observation"], chosen)[0]  # the first alone
    assert metrics["actor_loss"].item() == pytest.approx(-q_value.mean(), rel=1e-4)


def test_target_noise_is_clipped_and_stays_in_the_box() -> None:
    agent = make_agent(target_noise={"scale": 50.0, "clip": 0.25})
    observation = torch.from_numpy(observe(500))
    plain = agent.target_actor(observation)
    distance = (agent._target_action(observation) - plain).abs()
    assert distance.max() <= 0.25 + 1e-6
    assert (distance > 0.25 - 1e-6).float().mean() > 0.95
    wide = make_agent(target_noise={"scale": 50.0, "clip": 9.0})
    assert wide._target_action(observation).abs().max() == 1.0


def test_without_target_noise_nothing_is_drawn() -> None:
    agent = make_agent(target_noise=None)
    state = agent.generator.get_state()
    observation = torch.from_numpy(observe(5))
    assert torch.equal(agent._target_action(observation), agent.target_actor(observation))
    assert torch.equal(agent.generator.get_state(), state)


# ---- values that are known


@each_member
def test_truncated_episodes_are_worth_the_whole_future_and_terminated_ones_are_not(
    name: str,
) -> None:
    config = Td3Config(
        **MEMBERS[name]
        | {
            "network": {"hidden_sizes": [32]},
            "critic_optimizer": {"learning_rate": 1e-2, "decay": "linear"},
            "target_update_rate": 0.3,
        }
    )
    learn = partial(learn_from, agent_class=Td3Agent, config=config, gamma=0.9)
    for truncated, expected in ((True, [10.0, 10.0, 10.0]), (False, [2.71, 1.9, 1.0])):
        probe = partial(ConstantReward, truncated=truncated, steps=3, box=True)
        for n_step in (1, 2):
            agent = learn(probe, updates=500, n_step=n_step)
            q_values = agent.critic(torch.eye(3), torch.zeros(3, 1)).detach()
            for member in q_values:
                np.testing.assert_allclose(member, expected, atol=0.15)


@pytest.mark.parametrize("probe", [BoxBounds, partial(ActionFromObservation, box=True)])
@each_member
def test_the_better_action_is_found(name: str, probe: Any) -> None:
    config = Td3Config(
        **MEMBERS[name]
        | {
            "network": {"hidden_sizes": [64, 64]},
            "actor_optimizer": {"learning_rate": 3e-3},
            "critic_optimizer": {"learning_rate": 3e-3, "decay": "linear"},
        }
    )
    env = probe()
    agent = learn_from(probe, Td3Agent, config, updates=1_000)
    context = policy_context(env.action_space)._replace(observation_space=env.observation_space)
    actions = agent.policy(context).act(env.observations, None, mode="greedy").action
    assert all(env.reward(state, action) > 0.95 for state, action in enumerate(actions))


def test_a_terminated_transition_learns_its_reward_alone() -> None:
    one, other = make_agent(), make_agent()
    batch = make_batch(BOX, discount=torch.zeros(SIZE))
    one.update(batch)
    other.update(batch._replace(next_observation=torch.rand(SIZE, 3) * 100))
    assert same_tensors(everything(one), everything(other))


# ---- slots and settings


def test_ddpg_is_a_setting() -> None:
    config = Td3Config(**DDPG.defaults["agent"])
    assert (DDPG.agent, DDPG.policy, DDPG.config) == (TD3.agent, TD3.policy, TD3.config)
    assert (config.num_critics, config.actor_update_every_updates) == (1, 1)
    assert config.target_noise is None
    assert config.exploration.kind == "ornstein-uhlenbeck"


def test_actor_and_targets_wait_for_their_delay() -> None:
    agent = make_agent(actor_update_every_updates=3)
    start = everything(agent)
    reported = []
    for update in range(1, 7):
        before = everything(agent)
        metrics = agent.update(make_batch(BOX, seed=update)).metrics
        reported.append("actor_loss" in metrics)
        after = everything(agent)
        for name, tensor in after.items():
            moves = name.startswith("critic") or update % 3 == 0
            assert torch.equal(before[name], tensor) != moves, (update, name)
    assert reported == [False, False, True] * 2
    assert not same_tensors(start, everything(agent))


@each_member
def test_targets_equal_the_networks_at_the_start_and_follow_by_their_rate(name: str) -> None:
    agent = make_agent(name, target_update_rate=0.25, actor_update_every_updates=1)
    before = everything(agent)
    for part in ("actor", "critic"):
        own, target = getattr(agent, part), getattr(agent, f"target_{part}")
        assert same_tensors(dict(own.state_dict()), dict(target.state_dict()))
    agent.update(make_batch(BOX))
    after = everything(agent)
    for name_, old in before.items():
        if name_.startswith("target_"):
            online = after[name_.removeprefix("target_")]
            torch.testing.assert_close(after[name_], 0.75 * old + 0.25 * online)


def test_twin_critics_differ_from_each_other() -> None:
    first, second = linear_layers(2, make_agent().critic.members)
    assert all((a[0] != b[0]).any() for a, b in zip(first, second, strict=True))


def test_importance_weights_act_sample_by_sample() -> None:
    only_first = torch.tensor([float(SIZE), *[0.0] * (SIZE - 1)])
    weighted, alone = (
        make_agent(target_noise=None, actor_update_every_updates=1) for _ in range(2)
    )
    whole = make_batch(BOX)
    weighted.update(whole._replace(importance_weight=only_first))
    alone.update(TransitionBatch(*(field[:1] for field in whole)))
    for name, tensor in everything(weighted).items():
        torch.testing.assert_close(tensor, everything(alone)[name], msg=name)


def test_the_actor_step_leaves_no_gradient_in_the_critics() -> None:
    agent = make_agent()
    agent.update(make_batch(BOX))
    norm = agent.critic_optimizer.gradient_norm()
    agent._update_actor(make_batch(BOX))
    assert agent.critic_optimizer.gradient_norm() == norm
    assert all(parameter.requires_grad for parameter in agent.critic.parameters())


# ---- what it keeps and reports


@each_member
def test_a_loaded_agent_continues_bit_for_bit(name: str) -> None:
    agent, other = make_agent(name), make_agent(name, 9)
    for seed in range(3):  # odd: the delay is under way
        agent.update(make_batch(BOX, seed))
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    assert same_tensors(everything(agent), everything(other))  # target actor and critic 2, too
    for seed in range(3, 8):
        left, right = (each.update(make_batch(BOX, seed)) for each in (agent, other))
        assert same_tensors(left.metrics, right.metrics)
    assert same_tensors(everything(agent), everything(other))


@each_member
def test_same_seed_same_weights_and_other_seed_other_weights(name: str) -> None:
    runs = [make_agent(name, seed) for seed in (0, 0, 1)]
    for agent in runs:
        for seed in range(5):
            agent.update(make_batch(BOX, seed))
    assert same_tensors(everything(runs[0]), everything(runs[1]))
    assert not same_tensors(everything(runs[0]), everything(runs[2]))


@each_member
def test_building_updating_and_acting_leave_global_generators_alone(name: str) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    agent = make_agent(name)
    for _ in range(2):
        agent.update(make_batch(BOX))
    agent.policy(policy_context(BOX)).act(observe(4), None, mode="sample")
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002


@each_member
def test_metrics_are_detached_scalars_and_learning_rates_follow_their_decay(name: str) -> None:
    decay = {"learning_rate": 1e-3, "decay": "linear"}
    agent = make_agent(
        name, actor_optimizer=decay, critic_optimizer=decay, actor_update_every_updates=1
    )
    metrics, _ = agent.update(make_batch(BOX))
    assert set(metrics) == {"critic_loss", "actor_loss", "q_value"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    agent.set_progress(250)
    rates = [v for key, v in agent.metrics().items() if key.endswith("learning_rate")]
    assert rates == pytest.approx([7.5e-4] * 2)


def test_policy_in_another_process_acts_like_the_one_that_shares_the_actor() -> None:
    agent, context = make_agent(), policy_context(BOX, seed=3)
    agent.update(make_batch(BOX))
    near, far = agent.policy(context), Td3Policy(agent.config, context)
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
        gymnasium.spaces.Discrete(2),
    ],
    ids=str,
)
def test_actions_that_it_cannot_take_are_refused(actions: gymnasium.Space[Any]) -> None:
    with pytest.raises(IncompatibleError):
        Td3Agent(Td3Config(), AgentContext(OBSERVATIONS, actions, 1_000, Seeds(0)))
