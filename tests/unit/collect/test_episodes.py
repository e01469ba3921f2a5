import numpy as np

from rlplug.collect.episodes import EpisodeTracker
from rlplug.data import EpisodeStats

ALL = np.ones(2, bool)


def rewards(*values):
    return np.array(values, np.float32)


def test_an_episode_is_reported_with_its_sums_when_it_ends_and_the_next_starts_from_zero():
    tracker = EpisodeTracker(np.array([4, 9]))
    assert tracker.update(rewards(1, 10), ALL, [], 2) == []
    assert tracker.update(rewards(2, 20), ALL, [1], 4) == [EpisodeStats(9, 30.0, 2, 4)]
    assert tracker.update(rewards(3, 40), ALL, [0, 1], 6) == [
        EpisodeStats(4, 6.0, 3, 6),
        EpisodeStats(9, 40.0, 1, 6),
    ]


def test_rows_that_are_no_step_count_neither_reward_nor_length():
    tracker = EpisodeTracker(np.array([0, 1]))
    tracker.update(rewards(5, 7), np.array([False, True]), [], 1)
    ended = tracker.update(rewards(1, 1), ALL, [0, 1], 3)
    assert [(e.episode_return, e.episode_length) for e in ended] == [(1.0, 1), (8.0, 2)]


def test_sums_are_float64():
    tracker = EpisodeTracker(np.array([0]))
    one = np.ones(1, bool)
    tracker.update(rewards(2**24), one, [], 1)
    for _ in range(3):
        tracker.update(rewards(1), one, [], 1)
    (episode,) = tracker.update(rewards(1), one, [0], 1)
    assert episode.episode_return == 2**24 + 4


def test_a_loaded_tracker_continues_the_sums():
    tracker, other = (EpisodeTracker(np.array([0, 1])) for _ in range(2))
    tracker.update(rewards(1, 2), ALL, [], 2)
    state = tracker.state_dict()
    other.load_state_dict(state)
    tracker.update(rewards(9, 9), ALL, [], 4)  # must not reach what was saved
    assert other.update(rewards(3, 4), ALL, [0, 1], 4) == [
        EpisodeStats(0, 4.0, 2, 4),
        EpisodeStats(1, 6.0, 2, 4),
    ]
