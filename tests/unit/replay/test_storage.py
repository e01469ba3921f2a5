from __future__ import annotations

import numpy as np
import pytest

from rlplug.errors import ConfigError


def test_next_observation_of_the_newest_row_is_what_the_policy_acts_on_next(
    make_replay, steps, drawn
):
    replay = make_replay()
    replay.add(steps(".."))
    assert drawn(replay) == {0: (0, 0.5, 1), 1: (1, 0.5, 2)}


def test_episode_that_ends_with_the_rollout_keeps_its_final_observation(make_replay, steps, drawn):
    replay = make_replay()
    replay.add(steps(".u"))
    replay.add(steps(".", start=2))
    assert drawn(replay) == {0: (0, 0.5, 1), 1: (1, 0.5, 1.5), 2: (2, 0.5, 3)}


def test_invalid_rows_are_not_stored(make_replay, steps, drawn):
    replay = make_replay()
    replay.add(steps(".ti..", rewards=[0, 1, 77, 3, 4]))
    assert drawn(replay) == {0: (0, 0.5, 1), 1: (1, 0, 1.5), 3: (3, 0.5, 4), 4: (4, 0.5, 5)}


def test_rollout_may_carry_only_some_of_the_streams(make_replay, steps, drawn):
    replay = make_replay(num_streams=3)
    replay.add(steps("..", stream=2))
    replay.add(steps(".", start=50, stream=0))
    replay.add(steps(".", start=2, stream=2))
    assert drawn(replay) == {0: (0, 0.5, 1), 1: (1, 0.5, 2), 2: (2, 0.5, 3), 50: (50, 0.5, 51)}


def test_overwritten_rows_are_never_drawn(make_replay, steps, drawn):
    replay = make_replay(capacity=10)
    for start in range(0, 200, 7):
        replay.add(steps("..t.u..", start=start))
        rows = min(10, start + 7)
        assert len(replay) == rows
        assert sorted(drawn(replay)) == list(range(start + 7 - rows, start + 7))


def test_rollout_longer_than_the_ring_leaves_its_newest_rows(make_replay, steps, drawn):
    replay = make_replay(capacity=4)
    replay.add(steps("...u......t"))
    assert drawn(replay) == {
        7: (7, 0.5, 8),
        8: (8, 0.5, 9),
        9: (9, 0.5, 10),
        10: (10, 0, 10.5),
    }


def test_capacity_is_divided_over_the_streams_and_a_remainder_is_not_used(make_replay, steps):
    replay = make_replay(capacity=11, num_streams=3)
    for stream in range(3):
        replay.add(steps("." * 20, stream=stream))
    assert len(replay) == 9


def test_places_of_final_observations_are_used_again(make_replay, steps):
    replay = make_replay(capacity=20)
    replay.add(steps("t" * 20))
    before = replay.nbytes
    for _ in range(10):
        replay.add(steps("ut" * 5))
    assert replay.nbytes == before


def test_cut_ends_the_episode_at_the_observation_that_was_to_follow(make_replay, steps, drawn):
    replay = make_replay(n_step=2, num_streams=2)
    replay.add(steps("...", rewards=[1, 2, 4]))
    replay.add(steps(".t", start=10, stream=1))
    replay.cut(np.array([0, 1]))
    replay.add(steps(".", start=500))
    assert drawn(replay) == {
        0: (1 + 2 / 2, 1 / 4, 2),
        1: (2 + 4 / 2, 1 / 4, 3),
        2: (4, 1 / 2, 3),
        10: (10 + 11 / 2, 0, 11.5),
        11: (11, 0, 11.5),
    }


def test_what_follows_a_restart_is_not_joined_to_what_was_before(make_replay, steps, drawn):
    cut, told = make_replay(n_step=2), make_replay(n_step=2)
    for replay in (cut, told):
        replay.add(steps("...", rewards=[1, 2, 4]))
    cut.cut(np.array([0]))
    cut.add(steps("..", start=500))
    told.add(steps("..", start=500)._replace(is_restart=True))
    assert drawn(told) == drawn(cut)
    assert drawn(told)[2] == (4, 1 / 2, 3)


def test_what_the_policy_added_is_stored_with_its_row(make_replay, steps):
    replay = make_replay(capacity=4)
    replay.add(steps("......", extras={"value": [0.0, 1, 2, 3, 4, 5]}))
    assert replay.storage.added_by_policy("value", np.arange(2, 6)).tolist() == [2, 3, 4, 5]
    assert replay.storage.added_by_policy("log_probability", np.arange(2, 6)) is None


def test_only_written_rows_are_saved(make_replay, steps):
    replay = make_replay(capacity=100_000, sampler="prioritized")
    replay.add(steps("....t"))
    state = replay.state_dict()
    assert len(state["storage"]["reward"]) == 6
    assert len(state["storage"]["columns"]["observation"]) == 6
    assert len(state["storage"]["columns"]["final"]) == 1
    assert len(state["sampler"]["priorities"]) == 6


def test_fewer_rows_than_streams_are_refused(make_replay):
    with pytest.raises(ConfigError, match=r"capacity is 3, less than one .* each of the 4"):
        make_replay(capacity=3, num_streams=4)


@pytest.mark.parametrize("other", [{"capacity": 50}, {"num_streams": 2}])
def test_saved_replay_of_another_size_is_refused(make_replay, steps, other):
    replay = make_replay()
    replay.add(steps("..."))
    with pytest.raises(ConfigError, match=r"Resume with the replay\.capacity"):
        make_replay(**other).load_state_dict(replay.state_dict())
