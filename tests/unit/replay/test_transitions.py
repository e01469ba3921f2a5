from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from rlplug.errors import ConfigError

SAMPLERS = ["uniform", {"kind": "prioritized", "uniform_mix": 0.2}]


def script(steps, start, stream):
    ends = np.random.default_rng(start + stream).choice(list(".....tu"), size=9)
    return steps("".join(ends), start=start, stream=stream)


def learn(replay, steps, times):
    """Add, draw and write back; returns every number that was drawn."""
    seen = []
    for start in times:
        for stream in range(2):
            replay.add(script(steps, start, stream))
        replay.set_progress(start)
        for batch in replay.minibatches(3, 8):
            replay.update_priorities(batch.replay_index, batch.reward.abs())
            numbers = torch.stack([batch.reward, batch.discount, batch.importance_weight])
            columns = (batch.observation.T, batch.next_observation.T, numbers, batch.action[None])
            seen.append(torch.cat([column.double() for column in columns]))
    return torch.stack(seen)


@pytest.mark.parametrize("storage", ["memory", "disk", "device"])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=["uniform", "prioritized"])
def test_saved_replay_continues_bit_for_bit(make_replay, steps, tmp_path, storage, sampler):
    settings = {"capacity": 50, "n_step": 2, "sampler": sampler, "storage": storage}
    first = make_replay(2, **settings, directory=tmp_path / "first")
    learn(first, steps, range(0, 100, 9))
    second = make_replay(2, seed=7, **settings, directory=tmp_path / "second")
    learn(second, steps, range(300, 400, 9))  # a used replay is replaced as a whole
    second.load_state_dict(first.state_dict())
    assert len(second) == len(first)
    later = range(100, 200, 9)
    assert learn(second, steps, later).equal(learn(first, steps, later))


@pytest.mark.parametrize("storage", ["disk", "device"])
def test_storages_draw_the_same(make_replay, steps, tmp_path, storage):
    here, there = (
        make_replay(2, capacity=50, storage=kind, directory=tmp_path)
        for kind in ("memory", storage)
    )
    times = range(0, 100, 9)
    assert learn(here, steps, times).equal(learn(there, steps, times))


def test_empty_replay_can_be_saved_and_restored(make_replay, steps, drawn):
    replay = make_replay()
    replay.add(steps("..."))
    replay.load_state_dict(make_replay().state_dict())
    assert len(replay) == 0
    replay.add(steps("t", start=9))
    assert drawn(replay) == {9: (9, 0, 9.5)}


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["uniform", "prioritized"])
def test_stacked_images_continue_bit_for_bit(make_replay, steps, sampler):
    def images(start):
        part = steps("..u...t.", start=start)
        shades = np.arange(start, start + 13).astype(np.uint8)
        stacks = np.stack([shades[t : t + 4] for t in range(9)])[..., None, None]
        stacks = np.broadcast_to(stacks, (9, 4, 9, 9))
        final = stacks[part.final_steps[:, 0] + 1]
        return part._replace(
            observation=stacks[:8, None], next_observation=stacks[8:], final_observation=final
        )

    space = gymnasium.spaces.Box(0, 255, (4, 9, 9), np.uint8)
    first, second = (make_replay(1, space, capacity=30, sampler=sampler) for _ in range(2))
    for start in range(0, 80, 8):
        first.add(images(start))
    second.load_state_dict(first.state_dict())
    assert second.nbytes == first.nbytes
    for replay in (first, second):
        replay.add(images(80))
    for left, right in zip(first.minibatches(5, 16), second.minibatches(5, 16), strict=True):
        assert all(map(torch.equal, left, right))


def test_batch_is_typed_for_learning(make_replay, steps):
    replay = make_replay(n_step=2)
    part = steps("....")
    replay.add(part._replace(action=part.action.astype(np.int32), reward=part.reward.astype(float)))
    (batch,) = replay.minibatches(1, 5)
    assert batch.observation.shape == batch.next_observation.shape == (5, 1)
    assert batch.action.dtype == batch.replay_index.dtype == torch.int64
    floats = (batch.observation, batch.reward, batch.discount, batch.importance_weight)
    assert {tensor.dtype for tensor in floats} == {torch.float32}
    assert {tensor.shape[0] for tensor in batch} == {5}


def test_observations_and_actions_may_be_trees(make_replay, steps):
    observations = gymnasium.spaces.Dict(
        position=gymnasium.spaces.Box(-1, 1, (1,)),
        seen=gymnasium.spaces.Tuple([gymnasium.spaces.Box(0, 255, (2, 2), np.uint8)]),
    )
    actions = gymnasium.spaces.Tuple(
        [gymnasium.spaces.Box(-1, 1, (1,)), gymnasium.spaces.Discrete(9)]
    )

    def tree(array):
        images = np.broadcast_to(array[..., None].astype(np.uint8), (*array.shape[:-1], 2, 2))
        return {"position": array, "seen": (images,)}

    part = steps(".t..")
    part = part._replace(
        observation=tree(part.observation),
        next_observation=tree(part.next_observation),
        final_observation=tree(part.final_observation * 2),
        action=(part.observation, part.action.astype(np.int16)),
    )
    first, second = (make_replay(1, observations, actions) for _ in range(2))
    first.add(part)
    second.load_state_dict(first.state_dict())
    for replay in (first, second):
        (batch,) = replay.minibatches(1, 50)
        position = batch.observation["position"][:, 0]
        after = torch.where(position == 1, 3.0, position + 1)
        assert batch.next_observation["position"][:, 0].equal(after)
        assert batch.next_observation["seen"][0][:, 1, 1].equal(after.to(torch.uint8))
        assert batch.action[0][:, 0].equal(position)
        assert batch.action[1].equal(position.long())


def test_whole_numbers_of_a_box_are_left_as_they_are(make_replay, steps):
    replay = make_replay(action_space=gymnasium.spaces.Box(0, 255, (), np.uint8))
    part = steps("..")
    replay.add(part._replace(action=part.action.astype(np.uint8)))
    assert next(replay.minibatches(1, 2)).action.dtype == torch.uint8


def test_replay_without_a_whole_window_says_so_when_drawn_from(make_replay, steps):
    replay = make_replay(n_step=3)
    assert list(replay.minibatches(0, 32)) == []
    replay.add(steps(".."))
    with pytest.raises(ValueError, match="no window of n_step = 3 rows is complete"):
        next(replay.minibatches(1, 32))


def test_window_longer_than_a_ring_is_refused(make_replay):
    with pytest.raises(ConfigError, match=r"n_step is 5.* room for 4"):
        make_replay(capacity=8, num_streams=2, n_step=5)


def test_number_and_size_of_minibatches_are_as_asked(make_replay, steps):
    replay = make_replay()
    replay.add(steps("." * 50))
    sizes = [len(batch.reward) for batch in replay.minibatches(700, 96)]
    assert sizes == [96] * 700
