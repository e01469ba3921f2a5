"""Many workers as one collector that never makes them wait."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pytest

from rlplug.errors import CheckpointError


def asked(crew: Any) -> list[int]:
    """Orders of each worker that it did not answer, or whose answer was not taken."""
    return [len(place.calls) for place in crew.pool.places]


def test_it_hands_over_what_has_arrived_and_waits_for_no_worker(crew: Any) -> None:
    one = crew(2, mode="async")
    one.engine.frozen = {1}
    rollouts = one.collector.collect(30)
    assert {int(rollout.streams[0]) for rollout in rollouts} == {0}
    assert one.collector.env_steps == sum(rollout.num_env_steps for rollout in rollouts) >= 30


def test_a_worker_has_its_next_order_and_no_more(crew: Any) -> None:
    """A learner that does not collect finds two rollouts of each worker, however long it takes."""
    one = crew(3, mode="async")
    one.collector.collect(6)
    assert asked(one) == [2, 2, 2]
    one.engine.wait([place.calls[-1].ref for place in one.pool.places], 3, 1.0)
    done = [worker.done.count("collect") for worker in one.engine.workers]
    one.engine.wait([place.calls[-1].ref for place in one.pool.places], 3, 1.0)
    assert [worker.done.count("collect") for worker in one.engine.workers] == done
    assert asked(one) == [2, 2, 2]


def test_every_worker_is_heard_however_fast_another_is(crew: Any) -> None:
    one = crew(3, mode="async")
    one.engine.first = [2]
    heard: collections.Counter[int] = collections.Counter()
    for _ in range(30):
        heard.update(int(rollout.streams[0]) for rollout in one.collector.collect(3))
    assert min(heard.values()) > 0


@pytest.mark.parametrize("num_envs", [1, 3])
def test_no_more_is_ordered_than_the_run_has_steps(crew: Any, num_envs: int) -> None:
    one = crew(2, mode="async", **{"train.steps": 100, "launch.envs_per_worker": num_envs})
    while one.collector.env_steps < 100:
        one.collector.collect(min(20, 100 - one.collector.env_steps))
    assert 100 <= one.collector.env_steps < 100 + num_envs
    assert asked(one) == [0, 0]


def test_steps_are_counted_once_in_the_order_of_arrival(crew: Any) -> None:
    collector = crew(2, mode="async").collector
    rollouts = [rollout for _ in range(10) for rollout in collector.collect(20)]
    counted = np.cumsum([rollout.num_env_steps for rollout in rollouts])
    assert [rollout.env_steps for rollout in rollouts] == counted.tolist()
    for rollout in rollouts:
        before = rollout.env_steps - rollout.num_env_steps
        assert all(before < each.env_steps <= rollout.env_steps for each in rollout.episodes)


def test_each_streams_rollouts_follow_each_other(crew: Any) -> None:
    collector = crew(2, mode="async").collector
    last: dict[int, Any] = {}
    for rollout in (each for _ in range(12) for each in collector.collect(10)):
        stream = int(rollout.streams[0])
        if stream in last:
            assert np.array_equal(rollout.observation[0], last[stream])
        assert not rollout.is_restart
        last[stream] = rollout.next_observation


def test_rollouts_that_are_learned_from_whole_have_the_length_that_was_asked_for(crew: Any) -> None:
    one = crew(2, "ppo", mode="async", **{"launch.envs_per_worker": 2})
    rollouts = one.collector.collect(5 * 4)
    assert {rollout.valid.shape for rollout in rollouts} == {(5, 2)}


def test_orders_are_worth_their_call_where_the_replay_takes_any_length(crew: Any) -> None:
    for workers in (1, 4):  # all of which the learner has to answer
        one = crew(workers, mode="async")
        one.collector.collect(1)
        one.collector._vector_step_seconds = 1e-5
        assert one.collector._vector_steps(1) == 16  # never many with old weights
        one.collector._vector_step_seconds = 0.004
        assert one.collector._vector_steps(1) == {1: 2, 4: 10}[workers]
        assert one.collector._vector_steps(160) == 160 // workers


def test_new_orders_bring_the_newest_weights_and_rollouts_tell_their_age(crew: Any) -> None:
    one = crew(1, mode="async")
    one.collector.collect(1)  # two more orders are out, with version 0
    one.collector.metrics()
    for version in (5, 9):
        one.collector.set_weights(one.agent.policy_weights, version)
    versions = [one.collector.collect(1)[0].weights_version for _ in range(3)]
    assert versions == [0, 0, 9]
    assert one.collector.metrics()["data_age_updates"] == pytest.approx((9 + 9 + 0) / 3)
    assert "data_age_updates" not in one.collector.metrics()


def test_what_was_not_handed_over_is_not_in_a_checkpoint(crew: Any) -> None:
    one, other = crew(2, mode="async"), crew(2, mode="async")
    one.collector.collect(20)
    state = one.collector.state_dict()
    other.collector.load_state_dict(state)
    assert other.collector.env_steps == one.collector.env_steps == state["env_steps"]
    assert other.collector.restarted.tolist() == [0, 1]
    with pytest.raises(CheckpointError, match="of 2 workers, the run has 3"):
        crew(3, mode="async").collector.load_state_dict(state)
