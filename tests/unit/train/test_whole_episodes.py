"""Finished episodes out of rollouts: nothing lost, nothing twice, nothing mixed up."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rlplug.data import Rollout
from rlplug.train.whole_episodes import WholeEpisodes, have_all_ended


def make_stream(lengths: list[list[int]], num_steps: int, *, next_step: bool) -> Rollout:
    """One long rollout; environment n plays episodes of these lengths, then one that never ends.

    Observations are `[episode, step]`, the final one's step is its length.
    """
    num_envs = len(lengths)
    shape = (num_steps, num_envs)
    observation = np.zeros((*shape, 2), np.int64)
    over, valid = np.zeros(shape, bool), np.ones(shape, bool)
    finals = {}
    for n, of_env in enumerate(lengths):
        episode = step = 0
        rest = [*of_env, 10**6]
        t = 0
        while t < num_steps:
            observation[t, n] = episode, step
            step += 1
            if step == rest[episode]:
                over[t, n] = True
                finals[t, n] = (episode, step)
                if next_step and t + 1 < num_steps:
                    t += 1
                    valid[t, n] = False
                    observation[t, n] = -1
                episode, step = episode + 1, 0
            t += 1
    final_steps = np.argwhere(over)
    return Rollout(
        observation={"at": observation},
        action=np.zeros(shape, np.int64),
        reward=np.ones(shape, np.float32),
        terminated=over.copy(),
        episode_over=over,
        valid=valid,
        extras={"log_prob": observation[..., 1].astype(np.float32)},
        next_observation={"at": np.zeros((num_envs, 2), np.int64)},
        final_steps=final_steps,
        final_observation={
            "at": np.array([finals[tuple(s)] for s in final_steps], np.int64).reshape(-1, 2)
        },
        streams=np.arange(num_envs) + 4,
        weights_version=0,
        env_steps=0,
        episodes=(),
    )


def cut(rollout: Rollout, first: int, last: int) -> Rollout:
    """Rows of a long rollout, as a collector would have returned them."""
    by_step = ("action", "reward", "terminated", "episode_over", "valid")
    mine = (rollout.final_steps[:, 0] >= first) & (rollout.final_steps[:, 0] < last)
    return rollout._replace(
        **{name: getattr(rollout, name)[first:last] for name in by_step},
        observation={"at": rollout.observation["at"][first:last]},
        extras={"log_prob": rollout.extras["log_prob"][first:last]},
        final_steps=rollout.final_steps[mine] - [first, 0],
        final_observation={"at": rollout.final_observation["at"][mine]},
    )


def episodes_in(rollout: Rollout) -> dict[tuple[int, int], int]:
    """Length by (environment, episode), after checking that each is whole and in order."""
    found = {}
    finals = {
        tuple(s): o
        for s, o in zip(rollout.final_steps, rollout.final_observation["at"], strict=True)
    }
    for n in range(rollout.valid.shape[1]):
        steps: list[int] = []
        for t in np.flatnonzero(rollout.valid[:, n]):
            episode, step = rollout.observation["at"][t, n]
            assert step == len(steps)
            assert rollout.extras["log_prob"][t, n] == step
            steps.append(step)
            if rollout.episode_over[t, n]:
                assert finals.pop((t, n)).tolist() == [episode, len(steps)]
                found[n, int(episode)] = len(steps)
                steps = []
        assert not steps
    assert not finals
    return found


@pytest.mark.parametrize("next_step", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_each_episode_is_handed_on_whole_once_it_is_finished(seed: int, next_step: bool) -> None:
    rng = np.random.default_rng(seed)
    lengths = [rng.integers(1, 9, size=rng.integers(0, 8)).tolist() for _ in range(3)]
    stream = make_stream(lengths, 40, next_step=next_step)
    bounds = sorted({0, 40, *rng.integers(1, 40, size=5).tolist()})
    whole, found = WholeEpisodes(), {}
    for first, last in pairwise(bounds):
        for rollout in whole.take([cut(stream, first, last)]):
            new = episodes_in(rollout)
            assert not found.keys() & new.keys()
            found |= new
    ended = {(n, stream.observation["at"][t, n, 0]) for t, n in stream.final_steps}
    assert found.keys() == ended
    assert all(lengths[n][episode] == length for (n, episode), length in found.items())


def test_saved_and_loaded_it_goes_on_alike() -> None:
    stream = make_stream([[3, 8], [6, 2, 9]], 20, next_step=False)
    whole, loaded = WholeEpisodes(), WholeEpisodes()
    whole.take([cut(stream, 0, 7)])
    loaded.load_state_dict(whole.state_dict())
    left, right = (each.take([cut(stream, 7, 20)]) for each in (whole, loaded))
    assert episodes_in(left[0]) == episodes_in(right[0]) == {(0, 1): 8, (1, 1): 2, (1, 2): 9}


def test_an_episode_that_a_restart_has_broken_off_is_handed_on_nowhere() -> None:
    stream = make_stream([[12], [9, 4]], 20, next_step=False)
    whole = WholeEpisodes()
    assert whole.take([cut(stream, 0, 7)]) == []
    again = make_stream([[5], [3, 4]], 20, next_step=False)
    (done,) = whole.take([again._replace(is_restart=True)])
    assert episodes_in(done) == {(0, 0): 5, (1, 0): 3, (1, 1): 4}


def test_rollouts_of_several_collectors_are_kept_apart() -> None:
    first = make_stream([[4, 9]], 8, next_step=False)
    second = make_stream([[6]], 8, next_step=False)._replace(streams=np.array([9]))
    whole = WholeEpisodes()
    (done,) = whole.take([cut(first, 0, 4), cut(second, 0, 4)])
    assert done.streams.tolist() == [4]
    (done,) = whole.take([cut(first, 4, 8), cut(second, 4, 8)])
    assert done.streams.tolist() == [9]
    assert episodes_in(done) == {(0, 0): 6}


def test_all_have_ended_only_when_each_has() -> None:
    stream = make_stream([[3], [6]], 10, next_step=False)
    assert not have_all_ended([cut(stream, 0, 5)])
    assert have_all_ended([cut(stream, 0, 5), cut(stream, 5, 10)])
    assert not have_all_ended([cut(stream, 3, 10)])


def test_its_state_can_be_written_to_a_checkpoint(tmp_path: Any) -> None:
    from rlplug.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint

    stream = make_stream([[3, 8], [6, 2, 9]], 20, next_step=False)
    whole, loaded = WholeEpisodes(), WholeEpisodes()
    whole.take([cut(stream, 0, 7)])
    path = save_checkpoint(
        tmp_path, {"trainer": whole.state_dict()}, info=CheckpointInfo(env_steps=1)
    )
    loaded.load_state_dict(load_checkpoint(path).state["trainer"])
    (done,) = loaded.take([cut(stream, 7, 20)])
    assert episodes_in(done) == {(0, 1): 8, (1, 1): 2, (1, 2): 9}
