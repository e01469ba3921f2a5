"""Minibatches: every transition once an epoch, whole environments for recurrent networks."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.collect.local import LocalCollector
from rlplug.envs.adapter import StepAdapter
from rlplug.protocols import PolicyContext
from rlplug.seeding import Seeds
from rlplug.testing.scripted import Episode, ScriptedEnv

INVALID = ((3, 0), (5, 1))


def numbered(by_hand: Any, num_steps: int, num_envs: int, **settings: Any) -> Any:
    """A rollout whose rows tell their number by their log-probability."""
    rollout = by_hand.rollout(num_steps, num_envs, **settings)
    number = np.arange(num_steps * num_envs, dtype=np.float32).reshape(num_steps, num_envs)
    return rollout._replace(extras=rollout.extras | {"log_prob": -number})


def epochs(agent: Any, *rollouts: Any) -> list[list[int]]:
    """Numbers of the rows of each minibatch, without updating."""
    return [(-batch.rows.log_prob).long().tolist() for batch in agent.minibatches(rollouts)]


@pytest.mark.parametrize("batch_size", [1, 4, 5, 7, 12, 13, 100, None])
@pytest.mark.parametrize("invalid", [(), INVALID])
def test_each_epoch_has_every_transition_once_in_minibatches_of_even_size(
    batch_size: int | None, invalid: Any, by_hand: Any
) -> None:
    agent = by_hand.agent(batch_size=batch_size, epochs=2)
    rollout = numbered(by_hand, 6, 2, invalid=invalid)
    batches = epochs(agent, rollout)
    per_epoch = len(batches) // 2
    expected = np.flatnonzero(rollout.valid.ravel()).tolist()
    for epoch in (batches[:per_epoch], batches[per_epoch:]):
        assert sorted(chain.from_iterable(epoch)) == expected
    sizes = {len(batch) for batch in batches}
    assert max(sizes) - min(sizes) <= 1
    assert batch_size is None or max(sizes) <= batch_size
    assert per_epoch == (1 if batch_size is None else -(-len(expected) // batch_size))


def test_epochs_are_shuffled_differently(by_hand: Any) -> None:
    batches = epochs(by_hand.agent(batch_size=4, epochs=2), numbered(by_hand, 6, 2))
    assert batches[:3] != batches[3:]
    assert [sorted(b) for b in batches[:3]] != [sorted(b) for b in batches[3:]]


@pytest.mark.parametrize("batch_size", [1, 6, 12, 13, 24, None])
def test_minibatches_of_a_recurrent_network_are_whole_environments_in_the_order_of_time(
    batch_size: int | None, by_hand: Any
) -> None:
    agent = by_hand.agent(batch_size=batch_size, epochs=1, network={"recurrent": "lstm"})
    ends = {(2, 0): "terminated", (3, 3): "truncated"}
    rollout = numbered(
        by_hand, 6, 4, ends=ends, invalid=((3, 0),), state_size=agent.network.state_size
    )
    batches = list(agent.minibatches([rollout]))
    rows = [(-batch.rows.log_prob).long() for batch in batches]
    assert sorted(torch.cat(rows).tolist()) == np.flatnonzero(rollout.valid.ravel()).tolist()
    assert len(batches) == {1: 4, 6: 4, 12: 2, 13: 2, 24: 1, None: 1}[batch_size]
    for batch, mine in zip(batches, rows, strict=True):
        for n in set((mine % 4).tolist()):
            times = (mine // 4)[mine % 4 == n]
            assert sorted(times.tolist()) == np.flatnonzero(rollout.valid[:, n]).tolist()
        assert len(batch.packing.place) == len(mine)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_learning_sees_each_row_as_acting_did(kind: str, by_hand: Any) -> None:
    """Log-probabilities of a replayed rollout are those that were stored: states and resets fit."""
    agent = by_hand.agent(network={"recurrent": kind}, batch_size=None, epochs=1)
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        collector = scripted(agent, by_hand, mode)
        collector.collect(9)
        (rollout,) = collector.collect(20)  # begins inside episodes
        (batch,) = agent.minibatches([rollout])
        with torch.no_grad():
            distribution, _ = agent.network(batch.rows.seen, batch.packing)
            again = distribution.log_prob(batch.rows.action)
        torch.testing.assert_close(again, batch.rows.log_prob, atol=1e-5, rtol=0)


def scripted(agent: Any, by_hand: Any, autoreset: AutoresetMode, **settings: Any) -> LocalCollector:
    def episodes(n: int) -> list[Episode]:
        return [Episode((1.0,) * (3 + n)), Episode((1.0,) * 2, "truncated")]

    class Observer(ScriptedEnv):  # three numbers, as the agent expects
        def __init__(self, n: int) -> None:
            super().__init__(episodes(n))
            self.observation_space = by_hand.observations
            self.n = n

        def _observe(self) -> Any:
            return np.array([self._resets / 5, self._steps / 5, self.n], np.float32)

    envs = SyncVectorEnv([lambda n=n: Observer(n) for n in range(3)], autoreset_mode=autoreset)
    context = PolicyContext(
        by_hand.observations, envs.single_action_space, np.arange(3), 3, 1_000, Seeds(1)
    )
    return LocalCollector(
        StepAdapter(envs, name="scripted"),
        agent.policy(context),
        streams=np.arange(3),
        seeds=Seeds(1),
        **settings,
    )


@pytest.mark.parametrize("recurrent", ["none", "lstm"])
def test_autoreset_modes_give_the_same_values_advantages_and_targets(
    recurrent: str, by_hand: Any
) -> None:
    agent = by_hand.agent(
        network={"recurrent": recurrent},
        batch_size=None,
        epochs=1,
        normalize_advantages="off",
    )
    found = []
    for mode in AutoresetMode:
        collector = scripted(agent, by_hand, mode, mode="greedy")
        rollouts = collector.collect(40 if mode != AutoresetMode.NEXT_STEP else 60)
        (batch,) = agent.minibatches(rollouts)
        rows = batch.rows
        # by environment, then episode, then step; the script makes observations unique
        table = {
            tuple(obs): (value, target)
            for obs, value, target in zip(
                rows.seen[0].tolist(), rows.value.tolist(), rows.target.tolist(), strict=True
            )
        }
        found.append(table)
    for n in range(3):
        for episode in (1, 2, 3):  # finished in all modes
            for step in range(3 + n if episode % 2 else 2):
                key = tuple(np.array([episode / 5, step / 5, n], np.float32).tolist())
                reference = found[0][key]
                for other in found[1:]:
                    assert other[key] == pytest.approx(reference, abs=1e-4)


def test_values_that_acting_stored_are_those_that_learning_would_find(by_hand: Any) -> None:
    agent = by_hand.agent(network={"trunk_sizes": (8,)}, batch_size=None, epochs=1)
    (rollout,) = scripted(agent, by_hand, AutoresetMode.SAME_STEP).collect(40)
    assert "value" in rollout.extras
    without = rollout._replace(extras={"log_prob": rollout.extras["log_prob"]})
    left, right = (next(agent.minibatches([each])).rows for each in (rollout, without))
    torch.testing.assert_close(left.value, right.value)
    torch.testing.assert_close(left.target, right.target)
