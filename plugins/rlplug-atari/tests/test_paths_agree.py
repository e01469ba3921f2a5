"""The native vector environment and single games show the same, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from rlplug.envs.make import make_vector
from rlplug_atari import native, single
from rlplug_atari.config import AtariConfig
from rlplug_atari.plugin import environment


def stream(vector, num_steps):
    """Everything that N environments answer to random actions."""
    observation, _ = vector.reset(seed=5)
    rng = np.random.default_rng(0)
    shown = [(observation.copy(),)]
    for _ in range(num_steps):
        actions = rng.integers(0, vector.single_action_space.n, vector.num_envs)
        observation, reward, terminated, truncated, info = vector.step(actions)
        lost = np.array(info.get("life_lost", np.zeros(vector.num_envs, bool)))
        over = np.flatnonzero(terminated | truncated)
        finals = [np.array(info["final_obs"][env]) for env in over]
        row = (observation, np.asarray(reward, np.float64), terminated, truncated, lost)
        shown.append((*(array.copy() for array in row), *finals))
    vector.close()
    return shown


@pytest.mark.parametrize(
    ("game", "settings", "num_steps", "ends"),
    [
        ("breakout", {"sticky_actions": 0.25, "fire_on_reset": True, "max_frames": 300}, 170, 4),
        ("pong", {"max_frames": 150, "grayscale": False, "frame_skip": 3}, 60, 2),
        ("seaquest", {"max_pool": False, "frame_stack": 2, "height": 60, "width": 70}, 80, 0),
        ("montezuma-revenge", {"full_action_space": True, "max_noop_frames": 0}, 60, 0),
        ("freeway", {"frame_skip": 1, "frame_stack": 1, "sticky_actions": 0.5}, 80, 0),
    ],
)
def test_same_seed_and_actions_show_the_same(monkeypatch, game, settings, num_steps, ends):
    for module in (native, single):  # new seeds in mid-stream, too
        monkeypatch.setattr(module, "RESEED_AFTER_STEPS", 100)
    config = AtariConfig(**settings)
    spec = environment(game)
    ours = stream(make_vector(spec, config, 2), num_steps)
    theirs = stream(
        make_vector(spec, config.model_copy(update={"vectorize": "sync"}), 2), num_steps
    )
    for step, (left, right) in enumerate(zip(ours, theirs, strict=True)):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=f"step {step}")
    assert sum(int((row[2] | row[3]).sum()) for row in ours[1:]) >= ends


def test_observations_stay_as_they_were_shown():
    vector = make_vector(environment("pong"), AtariConfig(), 2)
    held = [vector.reset(seed=0)[0]]
    copies = [held[0].copy()]
    for _ in range(12):
        observation = vector.step(np.array([2, 3]))[0]
        held.append(observation)
        copies.append(observation.copy())
    np.testing.assert_array_equal(held, copies)
    vector.close()
