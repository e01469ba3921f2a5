"""Many workers as one collector that waits for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree
import pytest

from rlplug.errors import CheckpointError
from rlplug.resolve import resolve
from rlplug.train.build import build

if TYPE_CHECKING:
    from pathlib import Path

    from rlplug.data import Rollout


def leaves(rollout: Rollout) -> list[Any]:
    return optree.tree_leaves(tuple(rollout), none_is_leaf=True)


def assert_same(ours: list[Rollout], theirs: list[Rollout]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert all(map(np.array_equal, leaves(one), leaves(other)))


@pytest.mark.parametrize("algorithm", ["dqn", "noisy-dqn", "ppo", "recurrent-ppo", "sac-discrete"])
def test_one_worker_collects_what_this_process_would(
    crew: Any, tmp_path: Path, algorithm: str
) -> None:
    settings: dict[str, Any] = {"launch.envs_per_worker": 3, "agent.network.hidden_sizes": [8]}
    one = crew(1, algorithm, **settings)
    resolved = resolve(algorithm, "cartpole", preset=None, overrides=settings, device="cpu")
    local = build(resolved, tmp_path)
    for steps in (30, 7, 60):
        assert_same(one.collector.collect(steps), list(local.collector.collect(steps)))
    assert one.collector.env_steps == local.collector.env_steps == 30 + 9 + 60
    local.close()


def test_rollouts_come_in_the_order_of_the_workers_whichever_is_the_first(crew: Any) -> None:
    one, other = crew(3), crew(3)
    other.engine.first = [2]
    for steps in (9, 30):
        ours, theirs = one.collector.collect(steps), other.collector.collect(steps)
        assert [rollout.streams.tolist() for rollout in ours] == [[0], [1], [2]]
        assert_same(ours, theirs)


def test_workers_draw_from_generators_of_their_own(crew: Any) -> None:
    rollouts = crew(2).collector.collect(40)
    assert not np.array_equal(rollouts[0].observation[0], rollouts[1].observation[0])
    assert not np.array_equal(rollouts[0].action, rollouts[1].action)


def test_environments_are_divided_as_evenly_as_can_be(crew: Any) -> None:
    rollouts = crew(3, **{"launch.num_envs": 8}).collector.collect(16)
    assert [rollout.streams.tolist() for rollout in rollouts] == [[0, 1], [2, 3, 4], [5, 6, 7]]
    assert {len(rollout.valid) for rollout in rollouts} == {2}


def test_steps_are_counted_once_and_in_order(crew: Any) -> None:
    collector = crew(2, **{"launch.envs_per_worker": 2}).collector
    stamps = [rollout.env_steps for _ in range(3) for rollout in collector.collect(20)]
    assert stamps == [10, 20, 30, 40, 50, 60]
    assert collector.env_steps == 60


def test_episodes_are_stamped_with_the_runs_own_count(crew: Any) -> None:
    """Both workers play at once: what one has played after t steps, the run has 2 t of."""
    rollouts = crew(2).collector.collect(200)
    for rollout in rollouts:
        ends = 2 * (rollout.final_steps[:, 0] + 1)
        assert [episode.env_steps for episode in rollout.episodes] == ends.tolist()


def test_weights_go_out_once_and_only_when_they_are_new(crew: Any) -> None:
    one = crew(3)
    one.collector.collect(3)
    before = one.engine.puts
    one.collector.collect(3)
    assert one.engine.puts == before
    one.collector.set_weights(one.agent.policy_weights, 4)
    one.collector.set_weights(one.agent.policy_weights, 5)
    rollouts = one.collector.collect(3)
    assert one.engine.puts == before + 1
    assert {rollout.weights_version for rollout in rollouts} == {5}


def test_workers_act_with_the_weights_that_were_published(crew: Any) -> None:
    one = crew(2, **{"agent.exploration": {"kind": "epsilon", "epsilon": 0}})
    for tensor in one.agent.policy_weights().values():
        tensor.zero_()
    (*_, (name, bias)) = one.agent.policy_weights().items()
    assert bias.shape == (2,), name
    for best in (0, 1):
        bias.zero_()[best] = 1.0
        one.collector.set_weights(one.agent.policy_weights, best + 1)
        assert all((rollout.action == best).all() for rollout in one.collector.collect(10))


def test_arrays_are_the_learners_own(crew: Any) -> None:
    (rollout,) = crew().collector.collect(10)
    arrays = [leaf for leaf in leaves(rollout) if isinstance(leaf, np.ndarray)]
    assert all(array.flags.writeable for array in arrays)


def test_policies_metrics_are_averaged(crew: Any) -> None:
    exploration = {"kind": "epsilon", "epsilon": 0.4, "ladder_exponent": 7.0}
    one = crew(2, **{"agent.exploration": exploration})
    one.collector.collect(2)
    ladder = [0.4, 0.4**8]
    assert one.collector.metrics()["epsilon"] == pytest.approx(np.mean(ladder))
    assert one.collector.metrics()["worker_restarts"] == 0


@pytest.mark.parametrize("algorithm", ["dqn", "recurrent-ppo"])
def test_resumed_workers_continue_bit_for_bit(crew: Any, algorithm: str) -> None:
    one, other = (crew(2, algorithm, **{"launch.envs_per_worker": 2}) for _ in range(2))
    one.collector.collect(60)
    state = one.collector.state_dict()
    other.collector.load_state_dict(state)
    assert not len(other.collector.restarted)
    assert_same(other.collector.collect(60), one.collector.collect(60))


def test_state_of_other_workers_is_refused(crew: Any) -> None:
    state = crew(2).collector.state_dict()
    with pytest.raises(CheckpointError, match="of 2 workers, the run has 1"):
        crew(1).collector.load_state_dict(state)


def test_nothing_is_collected_for_nothing(crew: Any) -> None:
    with pytest.raises(ValueError, match="at least one"):
        crew().collector.collect(0)
