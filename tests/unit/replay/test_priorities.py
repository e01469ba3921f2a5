"""The windows that a policy is asked about: those of the replay, and shorter ones at the end."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from rlplug.errors import ConfigError
from rlplug.protocols import PrioritizingPolicy
from rlplug.replay.config import ReplayConfig
from rlplug.replay.priorities import build_rollout_priorities

NUMBER = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
FROM_POLICY = {"kind": "prioritized", "new_priority": "policy"}


class Writing:
    """A policy whose priorities spell out the window: `reward + 1000 discount next`."""

    def __init__(self) -> None:
        self.batches: list[Any] = []

    def priorities(self, batch: Any) -> Any:
        self.batches.append(batch)
        return (batch.reward + 1000 * batch.discount * batch.next_observation[:, 0]).numpy()

    def act(self, observation: Any, policy_state: Any, *, mode: Any) -> Any: ...
    def initial_state(self, num_envs: int) -> Any: ...
    def reset(self, policy_state: Any, which: Any) -> Any: ...
    def set_progress(self, env_steps: int) -> None: ...
    def set_weights(self, weights: Any) -> None: ...
    def metrics(self) -> Any: ...
    def state_dict(self) -> Any: ...
    def load_state_dict(self, state: Any) -> None: ...


def priorities_of(policy: Any, **settings: Any) -> Any:
    config = ReplayConfig(gamma=0.5, sampler=FROM_POLICY, **settings)
    return build_rollout_priorities(
        config, policy, observation_space=NUMBER, action_space=gymnasium.spaces.Discrete(99),
        device="cpu",
    )  # fmt: skip


def test_every_row_gets_the_window_that_its_rollout_holds(steps: Any) -> None:
    """Rows show 0, 1, ..., earn what they show, and end in t + 0.5; the rollout ends in 9."""
    policy = Writing()
    assert isinstance(policy, PrioritizingPolicy)
    priority = priorities_of(policy, n_step=3)(steps("...t.ui.."))
    half, quarter, eighth = 500.0, 250.0, 125.0
    expected = [
        [0 + 1 / 2 + 2 / 4 + eighth * 3],
        [1 + 2 / 2 + 3 / 4],  # it terminates after three steps,
        [2 + 3 / 2],  # two,
        [3],  # one
        [4 + 5 / 2 + quarter * 5.5],  # truncated: the final observation
        [5 + half * 5.5],
        [0],  # no transition
        [7 + 8 / 2 + quarter * 9],  # the rollout ends: the observation to act on
        [8 + half * 9],
    ]
    np.testing.assert_allclose(priority, expected)
    assert priority.dtype == np.float32


def test_environments_of_a_worker_are_kept_apart(steps: Any) -> None:
    parts = [steps("...", start=10), steps(".t.", start=20)]
    two = parts[0]._replace(
        **{
            name: np.concatenate([getattr(part, name) for part in parts], axis=1)
            for name in (
                "observation", "action", "reward", "terminated", "episode_over", "valid",
            )
        },
        next_observation=np.concatenate([part.next_observation for part in parts]),
        final_steps=np.array([[1, 1]]),
        final_observation=parts[1].final_observation,
        streams=np.array([70, 71]),  # of a run of many
    )  # fmt: skip
    compute = priorities_of(Writing(), n_step=2)
    np.testing.assert_array_equal(compute(two), np.hstack([compute(part) for part in parts]))


def test_rewards_are_transformed_as_the_replay_will(steps: Any) -> None:
    priority = priorities_of(Writing(), reward={"scale": 10, "clip": 15})(steps("ttt"))
    np.testing.assert_allclose(priority[:, 0], [0, 10, 15])


def test_whole_windows_are_those_that_the_replay_draws(
    steps: Any, make_replay: Any, drawn: Any
) -> None:
    rollout = steps("..u....t...", start=3)
    replay = make_replay(n_step=3)
    replay.add(rollout)
    priority = priorities_of(Writing(), n_step=3)(rollout)[:, 0]
    windows = drawn(replay)
    assert len(windows) == 9  # the last two wait
    for shown, (reward, discount, following) in windows.items():
        assert priority[int(shown) - 3] == reward + 1000 * discount * following


def test_a_horizon_beyond_the_rollout_ends_with_it(steps: Any) -> None:
    priority = priorities_of(Writing(), n_step=50)(steps("..", start=4))
    np.testing.assert_allclose(priority[:, 0], [4 + 5 / 2 + 250 * 6, 5 + 500 * 6])


def test_long_rollouts_are_asked_about_in_parts(steps: Any) -> None:
    policy = Writing()
    priority = priorities_of(policy)(steps("." * 1_100, rewards=range(1_100)))
    assert [len(batch.reward) for batch in policy.batches] == [512, 512, 76]
    np.testing.assert_allclose(priority[:, 0], np.arange(1_100) + 500 * np.arange(1, 1_101))


def test_nothing_is_asked_where_nobody_reads_it() -> None:
    spaces: dict[str, Any] = {
        "observation_space": NUMBER, "action_space": gymnasium.spaces.Discrete(2), "device": "cpu",
    }  # fmt: skip
    for sampler in ("uniform", "prioritized"):
        config = ReplayConfig(sampler=sampler)  # type: ignore[arg-type]
        assert build_rollout_priorities(config, Writing(), **spaces) is None
    with pytest.raises(ConfigError, match="computes no priorities"):
        priorities_of(object())
