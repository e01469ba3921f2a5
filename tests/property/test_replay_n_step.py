"""n-step transitions against brute force, over every pattern of ends, gaps and streams."""

from __future__ import annotations

import gymnasium
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_world import Everything, World, assert_holds

from rlplug.replay.config import RewardTransform
from rlplug.replay.layout import Layout
from rlplug.replay.n_step import NStep
from rlplug.replay.storage import TransitionStorage
from rlplug.replay.transitions import TransitionReplay

GAMMA = 0.9
OUTCOMES = st.sampled_from("....tulii")


def counting_world(num_streams: int) -> World:
    """Every observation is a number that was never shown before."""
    shown = iter(range(1_000_000))
    return World(
        num_streams,
        reset=lambda stream: np.array([stream, next(shown)], np.float32),
        step=lambda stream, _: np.array([stream, next(shown)], np.float32),
    )


def vector_replay(capacity: int, num_streams: int, n_step: int) -> TransitionReplay:
    layout = Layout(gymnasium.spaces.Box(0, 1, (2,)), gymnasium.spaces.Discrete(2))
    storage = TransitionStorage(capacity, num_streams, layout)
    return TransitionReplay(storage, Everything(), NStep(GAMMA, n_step, RewardTransform()))


@st.composite
def scripts(draw):
    """The number of streams, and rollouts: which streams they carry, and every outcome."""
    num_streams = draw(st.integers(1, 3))
    rollouts = []
    for _ in range(draw(st.integers(1, 8))):
        streams = draw(st.lists(st.integers(0, num_streams - 1), min_size=1, unique=True))
        num_steps = draw(st.integers(1, 9))
        step = st.text(OUTCOMES, min_size=num_steps, max_size=num_steps)
        rollouts.append((streams, [draw(step) for _ in streams]))
    return num_streams, rollouts


@settings(deadline=None, max_examples=150)
@given(script=scripts(), n_step=st.integers(1, 4), rows=st.integers(1, 12), spare=st.integers(0, 2))
def test_drawable_transitions_are_those_of_brute_force(script, n_step, rows, spare):
    num_streams, rollouts = script
    world = counting_world(num_streams)
    replay = vector_replay(rows * num_streams + spare % num_streams, num_streams, n_step)
    for streams, outcomes in rollouts:
        replay.add(world.rollout(streams, outcomes))
        assert_holds(replay, world.transitions(rows, n_step, GAMMA))
