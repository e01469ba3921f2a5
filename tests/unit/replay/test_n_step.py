from __future__ import annotations

import pytest


def test_window_of_three_bootstraps_with_gamma_cubed(make_replay, steps, drawn):
    replay = make_replay(n_step=3)
    replay.add(steps("....", rewards=[1, 10, 100, 1000]))
    assert drawn(replay) == {
        0: (1 + 10 / 2 + 100 / 4, 1 / 8, 3),
        1: (10 + 100 / 2 + 1000 / 4, 1 / 8, 4),
    }


def test_terminated_window_is_short_and_bootstraps_from_nothing(make_replay, steps, drawn):
    replay = make_replay(n_step=3)
    replay.add(steps("...t", rewards=[1, 10, 100, 1000]))
    assert drawn(replay) == {
        0: (1 + 10 / 2 + 100 / 4, 1 / 8, 3),
        1: (10 + 100 / 2 + 1000 / 4, 0, 3.5),
        2: (100 + 1000 / 2, 0, 3.5),
        3: (1000, 0, 3.5),
    }


def test_truncated_window_is_short_and_bootstraps_from_the_final_observation(
    make_replay, steps, drawn
):
    replay = make_replay(n_step=3)
    replay.add(steps("..u..", rewards=[1, 10, 100, 7, 7]))
    assert drawn(replay) == {
        0: (1 + 10 / 2 + 100 / 4, 1 / 8, 2.5),
        1: (10 + 100 / 2, 1 / 4, 2.5),
        2: (100, 1 / 2, 2.5),
    }


def test_lost_life_ends_the_window_and_the_episode_goes_on(make_replay, steps, drawn):
    replay = make_replay(n_step=3)
    replay.add(steps(".l....", rewards=[1, 10, 100, 7, 7, 7]))
    assert drawn(replay) == {
        0: (1 + 10 / 2, 0, 2),
        1: (10, 0, 2),
        2: (100 + 7 / 2 + 7 / 4, 1 / 8, 5),
        3: (7 + 7 / 2 + 7 / 4, 1 / 8, 6),
    }


def test_one_step_episodes_never_see_each_other(make_replay, steps, drawn):
    replay = make_replay(n_step=4)
    replay.add(steps("tut", rewards=[1, 2, 3]))
    assert drawn(replay) == {0: (1, 0, 0.5), 1: (2, 1 / 2, 1.5), 2: (3, 0, 2.5)}


def test_newest_rows_wait_until_their_window_is_full(make_replay, steps, drawn):
    replay = make_replay(n_step=3)
    replay.add(steps(".."))
    assert len(replay) == 0
    replay.add(steps(".", start=2))
    assert drawn(replay) == {0: (0 + 1 / 2 + 2 / 4, 1 / 8, 3)}
    replay.add(steps("t", start=3))
    assert sorted(drawn(replay)) == [0, 1, 2, 3]


def test_each_raw_reward_is_scaled_then_clipped_then_summed(make_replay, steps, drawn):
    replay = make_replay(n_step=2, reward={"scale": 0.1, "clip": 1.0})
    replay.add(steps(".t", rewards=[5, -70]))
    assert drawn(replay)[0][0] == pytest.approx(0.5 - 1 / 2)
    assert replay.storage.reward[:2].tolist() == [5, -70]


def test_gamma_zero_discounts_every_step_but_the_first(make_replay, steps, drawn):
    replay = make_replay(n_step=2, gamma=0.0)
    replay.add(steps("..", rewards=[3, 9]))
    assert drawn(replay) == {0: (3, 0, 2)}
