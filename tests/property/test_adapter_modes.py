"""An environment's stream of transitions is the same in the three autoreset modes."""

from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import optree
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.sub_environment import SubEnvironmentMaker

VECTOR_STEPS = 24

# (reward, terminated, truncated) of each step; the script is played in a circle, so that an
# episode may go on from its end to its start.
Steps = st.lists(
    st.tuples(st.integers(-9, 9), st.booleans(), st.booleans()), min_size=1, max_size=7
)
# An episode of one step, an end by both flags and a truncation are common enough by chance.
Scripts = st.lists(Steps, min_size=1, max_size=4)
Kind = st.sampled_from(["array", "dict", "tuple", "discrete"])


class TapeEnv(gymnasium.Env[Any, Any]):
    """Plays (reward, terminated, truncated) from a script, and shows where it is in which form."""

    def __init__(self, script: list[tuple[int, bool, bool]], kind: str, reuses: bool) -> None:
        clock = spaces.Box(-np.inf, np.inf, (3,), np.float64)
        count = spaces.Discrete(1000)
        self.observation_space = {
            "array": clock,
            "dict": spaces.Dict({"inner": spaces.Dict({"clock": clock}), "count": count}),
            "tuple": spaces.Tuple([clock, count]),
            "discrete": count,
        }[kind]
        self.action_space = spaces.Discrete(50, start=100)
        self._script, self._kind, self._reuses = script, kind, reuses
        self._clock = np.zeros(3)
        self._resets = self._played = 0

    def _observe(self, action: int) -> Any:
        self._clock[:] = (self._resets, self._played, action)
        clock = self._clock if self._reuses else self._clock.copy()
        count = self._resets + self._played
        forms = {
            "array": clock,
            "dict": {"inner": {"clock": clock}, "count": count},
            "tuple": (clock, count),
            "discrete": count,
        }
        return forms[self._kind]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self._resets += 1
        return self._observe(-1), {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward, terminated, truncated = self._script[self._played % len(self._script)]
        self._played += 1
        return self._observe(int(action)), float(reward), terminated, truncated, {}


class Transition(NamedTuple):
    observation: Any
    action: int
    reward: float
    terminated: bool
    truncated: bool
    next_observation: Any


def action_at(env: int, transition: int) -> int:
    return 100 + (7 * transition + 3 * env) % 50


def plain(observation: Any) -> Any:
    return optree.tree_map(lambda leaf: np.asarray(leaf).tolist(), observation)


def row_of(batch: Any, row: int) -> Any:
    return plain(optree.tree_map(lambda leaf: leaf[row], batch))


def brute_force(script, kind: str, env_index: int, count: int) -> list[Transition]:
    """The first transitions, from the environment alone."""
    env = TapeEnv(script, kind, reuses=False)
    stream = []
    observation, _ = env.reset()
    for i in range(count):
        action = action_at(env_index, i)
        after, reward, terminated, truncated, _ = env.step(action)
        stream.append(
            Transition(plain(observation), action, reward, terminated, truncated, plain(after))
        )
        observation = env.reset()[0] if terminated or truncated else after
    return stream


def through_adapter(
    scripts, kind: str, mode: AutoresetMode, *, copy: bool, checked: bool
) -> list[list[Transition]]:
    """Each environment's valid transitions of `VECTOR_STEPS` steps."""
    reuses = checked  # our wrapper has to save the last observation from the reset
    makers: list[Any] = [partial(TapeEnv, script, kind, reuses) for script in scripts]
    if checked:
        makers = [SubEnvironmentMaker(make, "tape", i) for i, make in enumerate(makers)]
    adapter = StepAdapter(SyncVectorEnv(makers, copy=copy, autoreset_mode=mode), name="tape")
    num_envs = len(scripts)
    streams: list[list[Transition]] = [[] for _ in scripts]
    observation = adapter.reset(0)
    for _ in range(VECTOR_STEPS):
        before = [row_of(observation, i) for i in range(num_envs)]
        actions = np.array([action_at(i, len(streams[i])) for i in range(num_envs)])
        step = adapter.step(actions)
        over = step.terminated | step.truncated
        assert step.reward.dtype == np.float32
        assert step.final_envs.tolist() == np.flatnonzero(over).tolist()
        for i in range(num_envs):
            if not step.valid[i]:
                assert mode is AutoresetMode.NEXT_STEP
                assert (step.reward[i], over[i]) == (0, False)
                continue
            after = step.observation
            row = i
            if over[i]:
                after, row = step.final_observation, step.final_envs.tolist().index(i)
            streams[i].append(
                Transition(
                    before[i],
                    int(actions[i]),
                    float(step.reward[i]),
                    bool(step.terminated[i]),
                    bool(step.truncated[i]),
                    row_of(after, row),
                )
            )
        observation = step.observation
    adapter.close()
    return streams


@pytest.mark.parametrize("mode", list(AutoresetMode))
@settings(max_examples=60, deadline=None)
@given(scripts=Scripts, kind=Kind, copy=st.booleans(), checked=st.booleans())
def test_each_mode_yields_the_stream_of_the_environment_alone(mode, scripts, kind, copy, checked):
    streams = through_adapter(scripts, kind, mode, copy=copy, checked=checked)
    for i, stream in enumerate(streams):
        if mode is not AutoresetMode.NEXT_STEP:
            assert len(stream) == VECTOR_STEPS
        assert stream == brute_force(scripts[i], kind, i, len(stream))


@settings(max_examples=30, deadline=None)
@given(script=Steps)
def test_next_step_spends_one_row_on_each_reset(script):
    (stream,) = through_adapter(
        [script], "array", AutoresetMode.NEXT_STEP, copy=False, checked=True
    )
    played, resets_next = 0, False
    for _ in range(VECTOR_STEPS):
        if resets_next:
            resets_next = False
        else:
            _, terminated, truncated = script[played % len(script)]
            resets_next = terminated or truncated
            played += 1
    assert len(stream) == played
