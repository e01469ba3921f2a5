from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from rlplug.data import Rollout
from rlplug.errors import ConfigError


def screens(count, size=84, seed=0):
    return np.random.default_rng(seed).integers(256, size=(count, size, size), dtype=np.uint8)


def stacked(frames, depth=4):
    """`[T, 1, depth, H, W]`: every frame with the ones before it."""
    windows = np.lib.stride_tricks.sliding_window_view(frames, depth, axis=0)
    return windows.transpose(0, 3, 1, 2)[:, None]


def rollout(observation, following):
    """An episode that goes on."""
    flags = np.zeros(observation.shape[:2], np.bool_)
    return Rollout(
        observation=observation,
        action=np.arange(len(observation))[:, None],
        reward=np.zeros(flags.shape, np.float32),
        terminated=flags,
        episode_over=flags,
        valid=~flags,
        extras={},
        next_observation=following,
        final_steps=np.zeros((0, 2), np.int64),
        final_observation=observation[0][:0],
        streams=np.arange(1),
        weights_version=0,
        env_steps=0,
        episodes=(),
    )


def space(*shape, dtype=np.uint8):
    return gymnasium.spaces.Box(0, 255, shape, dtype)


@pytest.mark.parametrize("num_streams", [1, 8])
def test_transition_of_four_stacked_screens_costs_at_most_7200_bytes(make_replay, num_streams):
    replay = make_replay(
        num_streams, space(4, 84, 84), capacity=100_000, sampler="prioritized", n_step=3
    )
    stacks = stacked(screens(20))
    replay.add(rollout(stacks[:16], stacks[16]))
    assert replay.nbytes / 100_000 <= 7200


def test_stacks_that_shift_are_stored_as_unique_frames(make_replay):
    unique, whole = (
        make_replay(1, space(4, 84, 84), frame_stack=kind, seed=1) for kind in ("auto", "whole")
    )
    stacks = stacked(screens(20))
    for replay in (unique, whole):
        replay.add(rollout(stacks[:16], stacks[16]))
    assert unique.nbytes < whole.nbytes / 3
    for left, right in zip(unique.minibatches(4, 8), whole.minibatches(4, 8), strict=True):
        assert left.observation.equal(right.observation)
        assert left.next_observation.equal(right.next_observation)


@pytest.mark.parametrize(
    "images",
    [
        screens(5 * 4).reshape(5, 1, 4, 84, 84),  # four planes that do not move
        stacked(screens(7), depth=3),  # three are the colours of one image
        stacked(screens(12, size=7)),  # a board of seven by seven
    ],
    ids=["planes", "colours", "board"],
)
def test_images_that_are_no_stack_are_stored_whole(make_replay, images):
    auto, whole = (
        make_replay(1, space(*images.shape[2:]), frame_stack=kind) for kind in ("auto", "whole")
    )
    for replay in (auto, whole):
        replay.add(rollout(images[:-1], images[-1]))
    assert auto.nbytes == whole.nbytes


@pytest.mark.parametrize(
    "not_images", [space(4), space(4, 84, 84, dtype=np.float32), gymnasium.spaces.Discrete(5)]
)
def test_unique_frames_of_what_is_no_image_are_refused(make_replay, not_images):
    with pytest.raises(ConfigError, match="no stack of images"):
        make_replay(1, not_images, frame_stack="unique")


def test_image_inside_a_dict_is_stored_as_unique_frames(make_replay):
    spaces = gymnasium.spaces.Dict(screen=space(4, 84, 84), speed=space(2, dtype=np.float32))
    replay = make_replay(1, spaces, frame_stack="unique")
    stacks, speed = stacked(screens(20)), np.zeros((17, 1, 2), np.float32)
    part = rollout(stacks[:16], stacks[16])
    replay.add(
        part._replace(
            observation={"screen": stacks[:16], "speed": speed[:16]},
            next_observation={"screen": stacks[16], "speed": speed[16]},
            final_observation={"screen": stacks[0, :0], "speed": speed[0, :0]},
        )
    )
    (batch,) = replay.minibatches(1, 32)
    times = batch.action.numpy()
    np.testing.assert_array_equal(batch.observation["screen"], stacks[times, 0])
    np.testing.assert_array_equal(batch.next_observation["screen"], stacks[times + 1, 0])
    assert batch.observation["speed"].shape == (32, 2)
