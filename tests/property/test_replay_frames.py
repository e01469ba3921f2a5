"""Frames that are stored once: the very same stacks come back, whatever was shown."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from replay_world import Everything, World, assert_holds

from rlplug.replay.config import RewardTransform
from rlplug.replay.layout import Layout
from rlplug.replay.n_step import NStep
from rlplug.replay.storage import TransitionStorage
from rlplug.replay.transitions import TransitionReplay

DEPTH = 3
GAMMA = 0.9
RESETS = ("repeat", "zeros", "unrelated", "shift", "same")


def screen_world(num_streams: int, resets: list[str], num_shades: int, seed: int) -> World:
    """Stacks of two pixels; the fewer shades, the more often two screens are equal."""
    rng = np.random.default_rng(seed)
    kinds = iter(range(1_000_000))
    newest: dict[int, np.ndarray] = {}

    def screen() -> np.ndarray:
        return rng.integers(num_shades, size=(1, 2), dtype=np.uint8)

    def step(stream: int, stack: np.ndarray) -> np.ndarray:
        newest[stream] = np.concatenate([stack[1:], screen()[None]])
        return newest[stream]

    def reset(stream: int) -> np.ndarray:
        kind = resets[next(kinds) % len(resets)]
        if kind in {"shift", "same"} and stream in newest:  # a lost life: the game itself goes on
            return newest[stream] if kind == "same" else step(stream, newest[stream])
        newest[stream] = {
            "repeat": lambda: np.repeat(screen()[None], DEPTH, axis=0),
            "zeros": lambda: np.stack([np.zeros((1, 2), np.uint8)] * (DEPTH - 1) + [screen()]),
        }.get(kind, lambda: np.stack([screen() for _ in range(DEPTH)]))()
        return newest[stream]

    return World(num_streams, reset, step)


def image_replay(capacity: int, num_streams: int, n_step: int, frame_stack: str):
    space = gymnasium.spaces.Box(0, 255, (DEPTH, 1, 2), np.uint8)
    layout = Layout(space, gymnasium.spaces.Discrete(2), frame_stack)
    storage = TransitionStorage(capacity, num_streams, layout)
    return TransitionReplay(storage, Everything(), NStep(GAMMA, n_step, RewardTransform()))


@settings(deadline=None, max_examples=150)
@given(
    resets=st.lists(st.sampled_from(RESETS), min_size=1, max_size=4),
    num_shades=st.sampled_from([1, 2, 200]),
    outcomes=st.lists(st.text(st.sampled_from("....tui"), min_size=1, max_size=8), max_size=10),
    rows=st.integers(2, 12),
    n_step=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
@example(  # a reset to a black stack
    resets=["unrelated", "shift", "repeat", "repeat"],
    num_shades=2,
    outcomes=["ititi", "t.t", "i", "iitit", "tiitti"],
    rows=7,
    n_step=1,
    seed=35,
)
def test_unique_frames_give_back_the_stacks_that_were_shown(
    resets, num_shades, outcomes, rows, n_step, seed
):
    world = screen_world(2, resets, num_shades, seed)
    unique = image_replay(2 * rows, 2, n_step, "unique")
    whole = image_replay(2 * rows, 2, n_step, "whole")
    for i, outcome in enumerate(outcomes):
        rollout = (
            world.rollout([0, 1], [outcome, outcome[::-1]])
            if i % 3
            else world.rollout([1], [outcome])
        )
        unique.add(rollout)
        whole.add(rollout)
        known = world.transitions(rows, n_step, GAMMA)
        assert_holds(whole, known)
        # where frames ran out, the oldest transitions are gone, and none of the others
        actions = drawable_actions(unique)
        lost = set(known) - set(actions)
        for stream in world.rows:
            still = [row.action not in lost for row in stream if row.action in known]
            assert still == sorted(still)
        assert_holds(unique, {action: known[action] for action in actions})


def drawable_actions(replay: TransitionReplay) -> list[int]:
    return [] if not len(replay) else next(replay.minibatches(1, 1)).action.tolist()


@pytest.mark.parametrize("kind", ["repeat", "zeros"])
def test_frames_suffice_for_every_transition_where_episodes_are_long(kind):
    world = screen_world(1, [kind], 200, seed=0)
    replay = image_replay(300, 1, 1, "unique")
    for _ in range(12):
        replay.add(world.rollout([0], ["." * 149 + "u"]))
    assert_holds(replay, world.transitions(300, 1, GAMMA))
    assert len(replay) == 300
