"""A world whose every transition is known: rollouts for a replay, and what it must make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rlplug.data import Rollout

if TYPE_CHECKING:
    from rlplug.replay.samplers import Spans


class Row(NamedTuple):
    observation: Any
    action: int
    reward: float
    terminated: bool
    over: bool
    final: Any


class World:
    """Streams of rows; the caller says what becomes of each step.

    Outcomes: `.` goes on, `t` terminates, `u` is truncated, `l` loses a life (terminated, and the
    episode goes on); `i` is a row that is no transition
    when it follows an end (as under NEXT_STEP), else it goes on.
    """

    def __init__(self, num_streams: int, reset, step) -> None:
        self.rows: list[list[Row]] = [[] for _ in range(num_streams)]
        self.reset = reset
        self.step = step
        self.current = [reset(stream) for stream in range(num_streams)]
        self.just_ended = [False] * num_streams
        self.num_rows = 0

    def rollout(self, streams: list[int], outcomes: list[str]) -> Rollout:
        """One row for each stream and character; `outcomes` holds a string per stream."""
        num_steps = len(outcomes[0])
        shape = (num_steps, len(streams))
        observation = np.zeros((*shape, *self.current[0].shape), self.current[0].dtype)
        action = np.zeros(shape, np.int64)
        reward = np.zeros(shape, np.float32)
        terminated, over, valid = (np.zeros(shape, np.bool_) for _ in range(3))
        final_steps, finals = [], []
        for t in range(num_steps):
            for n, stream in enumerate(streams):
                outcome = outcomes[n][t]
                observation[t, n] = self.current[stream]
                self.num_rows += 1
                action[t, n], reward[t, n] = self.num_rows, self.num_rows % 7 - 3
                valid[t, n] = not (outcome == "i" and self.just_ended[stream])
                self.just_ended[stream] = False
                if not valid[t, n]:
                    self.current[stream] = self.reset(stream)
                    continue
                following = self.step(stream, self.current[stream])
                terminated[t, n], over[t, n] = outcome in "tl", outcome in "tu"
                if over[t, n]:
                    final_steps.append((t, n))
                    finals.append(following)
                    following = self.reset(stream)
                    self.just_ended[stream] = True
                row = (self.current[stream], int(action[t, n]), float(reward[t, n]))
                ends = (
                    bool(terminated[t, n]),
                    bool(over[t, n]),
                    finals[-1] if over[t, n] else None,
                )
                self.rows[stream].append(Row(*row, *ends))
                self.current[stream] = following
        return Rollout(
            observation=observation,
            action=action,
            reward=reward,
            terminated=terminated,
            episode_over=over,
            valid=valid,
            extras={},
            next_observation=np.stack([self.current[stream] for stream in streams]),
            final_steps=np.array(final_steps, np.int64).reshape(-1, 2),
            final_observation=np.array(finals, observation.dtype).reshape(
                -1, *observation.shape[2:]
            ),
            streams=np.array(streams, np.int64),
            weights_version=0,
            env_steps=self.num_rows,
            episodes=(),
        )

    def transitions(self, capacity: int, n_step: int, gamma: float) -> dict[int, tuple]:
        """By action (each is taken once): reward, discount, observation and next observation."""
        known = {}
        for stream, rows in enumerate(self.rows):
            for i in range(max(0, len(rows) - capacity), len(rows)):
                window = rows[i : i + n_step]
                if len(window) < n_step and not any(row.over for row in window):
                    continue
                ends = [row.over or row.terminated for row in window]
                if True in ends:
                    window = window[: ends.index(True) + 1]
                last = i + len(window) - 1
                following = rows[last].final
                if not rows[last].over:
                    following = rows[last + 1].observation if last + 1 < len(rows) else None
                if following is None:
                    following = self.current[stream]
                reward = sum(gamma**k * row.reward for k, row in enumerate(window))
                discount = 0.0 if rows[last].terminated else gamma ** len(window)
                known[rows[i].action] = (reward, discount, rows[i].observation, following)
        return known


class Everything:
    """A sampler whose one batch is every drawable row."""

    uses_priorities = True
    nbytes = 0

    def set_drawable(self, spans: Spans) -> None:
        self.spans = spans

    def draw(self, count: int, batch_size: int):
        rows = self.spans.all_rows()
        return rows[None], np.ones((1, len(rows)), np.float32)


def assert_holds(replay, known: dict[int, tuple]) -> None:
    """The drawable transitions are exactly the known ones."""
    assert len(replay) == len(known)
    if not known:
        return
    (batch,) = replay.minibatches(1, 1)
    assert sorted(batch.action.tolist()) == sorted(known)
    expected = [known[action] for action in batch.action.tolist()]
    rewards, discounts, observations, followings = zip(*expected, strict=True)
    np.testing.assert_allclose(batch.reward, rewards, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(batch.discount, discounts, rtol=1e-6)
    np.testing.assert_array_equal(batch.observation, np.stack(observations))
    np.testing.assert_array_equal(batch.next_observation, np.stack(followings))
