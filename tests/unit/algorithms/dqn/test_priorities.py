"""Ape-X: the policy's own priorities of what it did are those that the learner would compute."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.algorithms.dqn.config import DqnConfig
from rlplug.algorithms.dqn.policy import DqnPolicy
from rlplug.data import Rollout
from rlplug.errors import ConfigError
from rlplug.protocols import AgentContext, PolicyContext, PrioritizingPolicy
from rlplug.replay.config import ReplayConfig
from rlplug.replay.priorities import build_rollout_priorities
from rlplug.replay.transitions import build_replay
from rlplug.resolve import resolve
from rlplug.seeding import Seeds
from rlplug.train.build import build

OBSERVATIONS = gymnasium.spaces.Box(-1.0, 1.0, (3,))
ACTIONS = gymnasium.spaces.Discrete(2, start=5)
IQN = {"kind": "implicit-quantile", "num_samples": 4, "num_target_samples": 5}
MIXES: dict[str, dict[str, Any]] = {
    "scalar": {},
    "scalar double": {"bootstrap": "double", "network": {"dueling": True}},
    "scalar munchausen": {"bootstrap": "munchausen"},
    "categorical double": {"head": {"kind": "categorical", "num_atoms": 11}, "bootstrap": "double"},
    "quantile double": {"head": {"kind": "quantile", "num_quantiles": 7}, "bootstrap": "double"},
    "quantile munchausen": {"head": "quantile", "bootstrap": "munchausen"},
    "implicit": {"head": IQN},
    "noisy": {"exploration": "noisy", "network": {"noisy": {"initial_sigma": 1e-9}}},
}


def make_agent(**settings: Any) -> DqnAgent:
    sizes = {"encoder": {"kind": "mlp", "hidden_sizes": [8]}, "hidden_sizes": [8]}
    config = DqnConfig(**settings | {"network": sizes | settings.get("network", {})})
    return DqnAgent(config, AgentContext(OBSERVATIONS, ACTIONS, 1_000, Seeds(0)))


def make_context(num_envs: int = 2) -> PolicyContext:
    streams = np.arange(num_envs)
    return PolicyContext(OBSERVATIONS, ACTIONS, streams, num_envs, 1_000, Seeds(4))


def make_rollout() -> Rollout:
    """One episode terminates, one is truncated, and a row in between is no transition."""
    rng, shape = np.random.default_rng(0), (9, 2)
    terminated, over = np.zeros(shape, bool), np.zeros(shape, bool)
    terminated[2, 0] = over[2, 0] = over[4, 1] = True
    valid = np.ones(shape, bool)
    valid[3, 0] = valid[5, 1] = False
    numbers = rng.uniform(-1, 1, (13, 2, 3)).astype(np.float32)
    return Rollout(
        observation=numbers[:9],
        action=rng.integers(5, 7, shape),
        reward=rng.normal(size=shape).astype(np.float32),
        terminated=terminated,
        episode_over=over,
        valid=valid,
        extras={},
        next_observation=numbers[9],
        final_steps=np.argwhere(over),
        final_observation=numbers[10],
        streams=np.arange(2),
        weights_version=0,
        env_steps=16,
        episodes=(),
    )


def sampled(n_step: int = 3) -> ReplayConfig:
    sampler: Any = {"kind": "prioritized", "new_priority": "policy"}
    return ReplayConfig(capacity=100, gamma=0.9, n_step=n_step, sampler=sampler)


def spaces() -> dict[str, Any]:
    return {"observation_space": OBSERVATIONS, "action_space": ACTIONS, "device": "cpu"}


def priorities(policy: DqnPolicy, rollout: Rollout, n_step: int = 3) -> Any:
    compute = build_rollout_priorities(sampled(n_step), policy, **spaces())
    assert compute is not None
    return compute(rollout)


@pytest.mark.parametrize("mix", MIXES)
def test_priorities_are_the_learners_on_the_same_data_and_weights(mix: str) -> None:
    agent, rollout = make_agent(**MIXES[mix]), make_rollout()
    n_step = 1 if "munchausen" in mix else 3
    policy = agent.policy(make_context())
    assert isinstance(policy, PrioritizingPolicy)
    given = priorities(policy, rollout, n_step)
    assert (given[~rollout.valid] == 0).all()
    assert (given[rollout.valid] > 0).all()
    replay = build_replay(
        sampled(n_step), num_streams=2, total_env_steps=1_000, seeds=Seeds(0), directory=None,
        **spaces(),
    )  # fmt: skip
    replay.add(rollout._replace(extras={"priority": given}))
    (batch,) = replay.minibatches(1, 400)
    policy.torch_generator.set_state(agent.online.generator.get_state())
    mine = policy.priorities(batch)
    theirs = agent.update(batch).priorities
    assert theirs is not None
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
    if mix == "implicit":
        return  # its fractions are drawn anew
    row = (rollout.valid.cumsum(axis=0) - 1) * 2 + np.arange(2)
    of_row = dict(zip(row[rollout.valid], given[rollout.valid], strict=True))
    drawn = batch.replay_index.numpy()
    assert len(set(drawn)) == len(of_row) - 2 * (n_step - 1)  # what waits for its window
    np.testing.assert_allclose([of_row[each] for each in drawn], theirs, rtol=1e-4, atol=1e-6)


def test_the_last_rows_of_a_rollout_look_as_far_as_it_goes() -> None:
    agent, rollout = make_agent(), make_rollout()
    given = priorities(agent.policy(make_context()), rollout)

    def values(observation: Any) -> Any:
        with torch.no_grad():
            return agent.online.q_values(torch.from_numpy(observation)).numpy()

    best = values(rollout.next_observation).max(axis=1)
    reward = rollout.reward
    two, one = reward[7] + 0.9 * reward[8] + 0.81 * best, reward[8] + 0.9 * best
    for t, target in ((7, two), (8, one)):
        taken = values(rollout.observation[t])[np.arange(2), rollout.action[t] - 5]
        np.testing.assert_allclose(given[t], np.abs(target - taken), rtol=1e-5)


def test_a_policy_with_weights_of_its_own_gives_the_same() -> None:
    agent, rollout = make_agent(bootstrap="double"), make_rollout()
    far = DqnPolicy(agent.config, make_context())
    assert not np.allclose(
        priorities(far, rollout), priorities(agent.policy(make_context()), rollout)
    )
    far.set_weights(agent.policy_weights())
    np.testing.assert_array_equal(
        priorities(far, rollout), priorities(agent.policy(make_context()), rollout)
    )


@pytest.mark.parametrize("mix", ["scalar double", "implicit", "noisy"])
def test_asking_draws_nothing_from_the_learner_or_from_exploration(mix: str) -> None:
    agent = make_agent(**MIXES[mix])
    policy = agent.policy(make_context())
    exploration = policy.state_dict()["generator"]
    weights = {name: tensor.clone() for name, tensor in agent.online.state_dict().items()}
    kept = [agent.online.generator.get_state(), agent.noise_generator.get_state()]
    priorities(policy, make_rollout())
    assert torch.equal(kept[0], agent.online.generator.get_state())
    assert torch.equal(kept[1], agent.noise_generator.get_state())
    assert exploration == policy.state_dict()["generator"]
    for name, tensor in agent.online.state_dict().items():
        assert torch.equal(tensor, weights[name])


def collected(algorithm: str, tmp_path: Any, **settings: Any) -> Rollout:
    run = build(resolve(algorithm, "cartpole", preset=None, overrides=settings), tmp_path)
    (rollout,) = run.collector.collect(80)
    run.close()
    return rollout


def test_only_a_sampler_that_wants_priorities_gets_them(tmp_path: Any) -> None:
    rollout = collected("ape-x", tmp_path)
    assert rollout.extras["priority"].shape == (10, 8)
    assert (rollout.extras["priority"] > 0).all()
    assert collected("per-dqn", tmp_path).extras == {}
    assert collected("ape-x", tmp_path, **{"replay.sampler.new_priority": "highest"}).extras == {}
    mixed = {"replay.sampler": "prioritized", "replay.sampler.new_priority": "policy"}
    assert "priority" in collected("qr-dqn", tmp_path, **mixed).extras


def test_an_algorithm_whose_policy_computes_none_is_refused(tmp_path: Any) -> None:
    settings: Any = {"replay.sampler": {"kind": "prioritized", "new_priority": "policy"}}
    with pytest.raises(ConfigError, match="computes no priorities"):
        build(resolve("sac", "pendulum", preset=None, overrides=settings), tmp_path)
