import copy
import json
from collections import deque
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import optree
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.envs import spec as specs
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.config import EnvConfig
from rlplug.envs.make import make_env, make_vector
from rlplug.envs.spec import callable_spec
from rlplug.envs.state import keeps_own_state, pack, read_state, unpack, write_state
from rlplug.envs.sub_environment import SubEnvironmentMaker
from rlplug.errors import CheckpointError
from rlplug.specs import EnvironmentSpec

BUILT_IN = [
    specs.CARTPOLE,
    specs.CONTINUOUS_CARTPOLE,
    specs.PENDULUM,
    specs.MOUNTAIN_CAR,
    specs.MOUNTAIN_CAR_CONTINUOUS,
    specs.ACROBOT,
]


class Walk(gymnasium.Env[Any, Any]):
    """A random walk that keeps its own state; its length is hidden from what it shows."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.left = self.np_random.normal(), int(self.np_random.integers(1, 9))
        return np.array([self.place]), {}

    def step(self, action):
        self.place += self.np_random.normal()
        self.left -= 1
        return np.array([self.place]), self.place, self.left == 0, False, {}

    def get_state(self):
        return {"place": self.place, "left": self.left}

    def set_state(self, state):
        self.place, self.left = state["place"], state["left"]


class Silent(Walk):
    get_state = None


class WalkAccess:
    """What a plugin's spec may name for an environment without `get_state`."""

    @staticmethod
    def get(env):
        return {"place": env.place, "left": env.left}

    @staticmethod
    def set(env, state):
        env.place, env.left = state["place"], state["left"]


class Lagged(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Shows what was three steps ago; counts in several plain attributes."""

    def __init__(self, env) -> None:
        super().__init__(env)
        self.recent: deque[Any] = deque(maxlen=3)
        self.counts = {"steps": 0}
        self.pair = (1.5, None)
        self.noise = np.random.default_rng(5)

    def reset(self, **kwargs):
        observation, info = super().reset(**kwargs)
        self.recent.extend([observation] * 3)
        return observation, info

    def step(self, action):
        observation, *rest = super().step(action)
        self.recent.append(observation)
        self.counts["steps"] += 1
        self.pair = (self.pair[0] + self.counts["steps"], None)
        return self.recent[0] + self.noise.normal(), *rest


class Opaque(gymnasium.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env) -> None:
        super().__init__(env)
        self.machine = object()


class Own(Opaque):
    """Tells its state itself."""

    def __init__(self, env) -> None:
        super().__init__(env)
        self.offset = 0.0

    def step(self, action):
        observation, *rest = super().step(action)
        self.offset += 1.0
        return observation + self.offset, *rest

    def get_state(self):
        return {"offset": self.offset}

    def set_state(self, state):
        self.offset = state["offset"]


def actions(space: gymnasium.Space[Any], num_envs: int, count: int) -> list[Any]:
    space.seed(17)
    return [np.stack([space.sample() for _ in range(num_envs)]) for _ in range(count)]


def play(adapter: StepAdapter, moves: list[Any]) -> list[Any]:
    """Everything that the steps returned, copied."""
    return [copy.deepcopy(tuple(adapter.step(move))) for move in moves]


def through_json(state: Any) -> Any:
    """As a checkpoint would: arrays apart, all else as JSON."""
    leaves, structure = optree.tree_flatten(state, none_is_leaf=True)
    leaves = [
        leaf.copy() if isinstance(leaf, np.ndarray) else json.loads(json.dumps(leaf))
        for leaf in leaves
    ]
    return optree.tree_unflatten(structure, leaves)


def assert_continues(build: Any, before: int, after: int = 40) -> None:
    """Saved after `before` steps and loaded into a new one, it plays on bit for bit."""
    adapter = build()
    moves = actions(adapter.action_space, adapter.num_envs, before + after)
    adapter.reset(23)
    play(adapter, moves[:before])
    state = through_json(adapter.state_dict())
    observation = copy.deepcopy(adapter.observation)
    expected = play(adapter, moves[before:])
    resumed = build()
    assert not resumed.load_state_dict(state).any()
    assert resumed.vector_steps == before
    found = play_from(resumed, observation, moves[before:])
    flat, structure = optree.tree_flatten(expected)
    found_flat, found_structure = optree.tree_flatten(found)
    assert structure == found_structure
    for ours, theirs in zip(found_flat, flat, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    adapter.close()
    resumed.close()


def play_from(adapter: StepAdapter, observation: Any, moves: list[Any]) -> list[Any]:
    optree.tree_map(np.testing.assert_array_equal, adapter.observation, observation)
    return play(adapter, moves)


@pytest.mark.parametrize("spec", BUILT_IN, ids=lambda spec: spec.name)
@pytest.mark.parametrize("before", [0, 20, 37])
def test_built_in_environment_continues_bit_for_bit(spec, before):
    config = EnvConfig(max_episode_steps=20)
    assert_continues(lambda: StepAdapter(make_vector(spec, config, 3), name="x"), before)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("before", [5, 9, 10, 11])
def test_pending_resets_are_continued_in_every_mode(mode, before):
    config = EnvConfig(max_episode_steps=10)

    def build() -> StepAdapter:
        make = partial(make_env, specs.CARTPOLE, config)
        makers = [SubEnvironmentMaker(make, "cartpole", i) for i in range(3)]
        return StepAdapter(SyncVectorEnv(makers, autoreset_mode=mode), name="cartpole")

    assert_continues(build, before)


def test_processes_continue_bit_for_bit():
    config = EnvConfig(max_episode_steps=10, vectorize="async")
    assert_continues(lambda: StepAdapter(make_vector(specs.CARTPOLE, config, 2), name="x"), 12)


@pytest.mark.parametrize("entry", ["Lagged", "Own"])
@pytest.mark.parametrize("spec", [specs.PENDULUM, callable_spec(Walk)])
def test_state_of_wrappers_is_continued(entry, spec):
    config = EnvConfig(
        wrappers=(f"{__name__}:{entry}", "gymnasium.wrappers:RecordEpisodeStatistics"), check=False
    )
    assert_continues(lambda: StepAdapter(make_vector(spec, config, 2), name="x", check=False), 13)


def test_frame_stack_is_continued():
    stack = {"entry": "gymnasium.wrappers:FrameStackObservation", "kwargs": {"stack_size": 3}}
    config = EnvConfig(wrappers=(stack,), max_episode_steps=15)
    assert_continues(lambda: StepAdapter(make_vector(specs.CARTPOLE, config, 2), name="x"), 13)


def test_steps_beyond_the_end_are_part_of_the_state():
    env = make_env(specs.CARTPOLE, EnvConfig())
    env.reset(seed=0)
    while not env.step(1)[2]:
        pass
    again = make_env(specs.CARTPOLE, EnvConfig())
    again.reset(seed=1)
    write_state(again, None, through_json(read_state(env, None)))
    assert again.unwrapped.steps_beyond_terminated == 0


def test_spec_may_name_access_to_the_state():
    spec = EnvironmentSpec(
        name="walk", summary="", make=f"{__name__}:Silent", state=f"{__name__}:WalkAccess"
    )
    assert_continues(lambda: StepAdapter(make_vector(spec, EnvConfig(), 2), name="walk"), 13)


def test_there_is_no_state_without_access_or_with_an_opaque_wrapper():
    for spec, wrappers in (
        (callable_spec(Silent), ()),
        (specs.CARTPOLE, (f"{__name__}:Opaque",)),
        (specs.CARTPOLE, ("gymnasium.wrappers:NormalizeObservation",)),
    ):
        adapter = StepAdapter(
            make_vector(spec, EnvConfig(wrappers=wrappers, check=False), 2), name="x", check=False
        )
        adapter.reset(0)
        assert adapter.state_dict()["environments"] is None


def test_saved_state_does_not_change_with_the_environment():
    adapter = StepAdapter(make_vector(specs.PENDULUM, EnvConfig(), 2), name="pendulum")
    adapter.reset(0)
    moves = actions(adapter.action_space, 2, 5)
    state = adapter.state_dict()
    before = copy.deepcopy(state)
    play(adapter, moves)
    optree.tree_map(np.testing.assert_array_equal, state, before)


def test_faults_of_a_resumed_run_have_the_steps_and_the_seed_of_the_whole():
    adapter = StepAdapter(make_vector(specs.CARTPOLE, EnvConfig(), 2), name="cartpole")
    adapter.reset(40)
    adapter.step(np.zeros(2, np.int64))
    resumed = StepAdapter(make_vector(specs.CARTPOLE, EnvConfig(), 2), name="cartpole")
    resumed.load_state_dict(adapter.state_dict())
    with pytest.raises(Exception, match=r"\(sub-environment 1, step 2, seed 41\)"):
        resumed.step(np.array([0, 7]))


def test_state_of_other_wrappers_is_refused():
    env = make_env(specs.CARTPOLE, EnvConfig())
    env.reset(seed=0)
    state = read_state(env, None)
    with pytest.raises(CheckpointError, match=r"had 2 wrappers, .* has 0"):
        write_state(env.unwrapped, None, state)


def test_subclass_of_classic_control_may_keep_more_and_has_no_state():
    class Windy(gymnasium.envs.classic_control.CartPoleEnv):
        pass

    env = Windy()
    env.reset(seed=0)
    assert read_state(env, None) is None


def test_set_state_of_another_kind_is_not_ours():
    class MuJoCoLike:
        def get_state(self):
            return {}

        def set_state(self, qpos, qvel):
            pass

    assert keeps_own_state(Walk())
    assert not keeps_own_state(MuJoCoLike())
    assert not keeps_own_state(Silent())


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        0.1,
        "text",
        [1, [2.5, None]],
        (1, (2,), []),
        deque([1, 2], maxlen=5),
        deque([(1,)]),
        {"a": {"b": (1, 2)}},
        np.float32(0.1),
        np.int64(7),
        np.bool_(True),
    ],
)
def test_plain_values_come_back_with_their_types(value):
    again = unpack(through_json(pack(value)))
    assert again == value
    assert type(again) is type(value)
    if isinstance(value, deque):
        assert again.maxlen == value.maxlen


def test_arrays_and_generators_come_back_apart_from_the_original():
    array = np.arange(3, dtype=np.int16)
    packed = pack(array)
    array[0] = 9
    assert unpack(packed).tolist() == [0, 1, 2]
    assert unpack(packed).dtype == np.int16
    generator = np.random.Generator(np.random.Philox(3))
    again = unpack(through_json(pack(generator)))
    assert again.normal() == generator.normal()


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array([None]), {"a": {1, 2}}, 1j])
def test_anything_else_is_refused(value):
    with pytest.raises(TypeError, match="is no plain value"):
        pack(value)
