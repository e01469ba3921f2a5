"""Running games are brought back to the very frame."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.errors import CheckpointError
from rlplug_atari import native, single
from rlplug_atari.config import AtariConfig
from rlplug_atari.history import History
from rlplug_atari.plugin import environment

NOISY = {"sticky_actions": 0.25, "max_frames": 300, "fire_on_reset": True}


def adapter(game="breakout", num_envs=2, **settings):
    vector = make_vector(environment(game), AtariConfig(**{**NOISY, **settings}), num_envs)
    return StepAdapter(vector, name=game)


def shown(env, rng, num_steps):
    rows = []
    for _ in range(num_steps):
        step = env.step(rng.integers(0, 4, env.num_envs))
        rows.append((step.observation.copy(), *map(np.copy, step[1:5]), step.final_observation))
    return rows


@pytest.mark.parametrize(
    ("vectorize", "reseed_after"), [("auto", 60), ("auto", 9999), ("sync", 60)]
)
def test_a_saved_game_goes_on_where_it_was(monkeypatch, vectorize, reseed_after):
    for module in (native, single):
        monkeypatch.setattr(module, "RESEED_AFTER_STEPS", reseed_after)
    env, rng = adapter(vectorize=vectorize), np.random.default_rng(0)
    env.reset(11)
    shown(env, rng, 137)
    state, rng_then = copy.deepcopy(env.state_dict()), copy.deepcopy(rng)
    expected = shown(env, rng, 80)
    env.close()

    again = adapter(vectorize=vectorize)
    restarted = again.load_state_dict(state)
    assert not restarted.any()
    np.testing.assert_array_equal(again.observation, state["observation"][0])
    for left, right in zip(expected, shown(again, rng_then, 80), strict=True):
        for one, other in zip(left, right, strict=True):
            np.testing.assert_array_equal(one, other)
    assert any(row[4].any() for row in expected), "no game ended: nothing new was begun"
    again.close()


def test_another_emulator_is_noticed():
    env = adapter()
    env.reset(0)
    shown(env, np.random.default_rng(0), 10)
    state = env.state_dict()
    state["environments"]["own"]["actions"][:] = 0
    with pytest.raises(CheckpointError, match="plays the same actions differently"):
        env.load_state_dict(state)
    env.close()


@pytest.mark.parametrize("vectorize", ["auto", "sync"])
def test_without_memory_games_begin_anew_and_it_is_said(caplog, vectorize):
    env = adapter(exact_resume=False, vectorize=vectorize)
    env.reset(0)
    shown(env, np.random.default_rng(0), 3)
    assert env.load_state_dict(env.state_dict()).all()
    assert "2 running episodes start again" in caplog.text
    env.close()


def test_history_keeps_what_the_longest_needs():
    history = History(3)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 18, (5000, 3)).astype(np.uint8)
    forgotten = {700: [0], 1500: [1, 2], 1501: [0], 4000: [1]}
    for step, row in enumerate(actions):
        history.append(row)
        history.forget(np.array(forgotten.get(step, []), np.int64))
    assert history.lengths.tolist() == [5000 - 1502, 5000 - 4001, 5000 - 1501]
    np.testing.assert_array_equal(history.actions(), actions[1501:])
    again = History(3, history.lengths, history.actions())
    again.append(np.array([1, 2, 3]))
    np.testing.assert_array_equal(again.actions(), [*actions[1501:], [1, 2, 3]])
    history.forget(np.arange(3))
    assert history.actions().shape == (0, 3)
