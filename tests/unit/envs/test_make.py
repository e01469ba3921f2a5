import logging
import pickle
import sys
import warnings
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from rlplug.envs.config import EnvConfig
from rlplug.envs.make import gymnasium_spec, make_env, make_vector
from rlplug.envs.spec import CARTPOLE, CONTINUOUS_CARTPOLE, PENDULUM, CallableSpec, callable_spec
from rlplug.errors import ConfigError, EnvironmentFaultError, PluginError, UnknownNameError
from rlplug.specs import EnvironmentSpec

HERE = __name__


class Sized(gymnasium.Env[Any, Any]):
    """Remembers what it was built with."""

    observation_space = spaces.Box(0, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, size: int = 1, color: str = "red") -> None:
        self.size, self.color = size, color

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}


class Doubled(gymnasium.RewardWrapper[Any, Any]):
    def __init__(self, env, factor=2) -> None:
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return self.factor * reward


class SizedConfig(EnvConfig):
    size: int = 3
    """Size."""


def raises(**kwargs):
    raise ValueError("no such\nlevel")


def warns():
    gymnasium.logger.warn("an old version")
    warnings.warn("something else", UserWarning, stacklevel=1)
    return Sized()


def needs_package():
    import surely_not_installed.part  # noqa: F401


def returns_nothing():
    return None


def native_vector(num_envs, render_mode=None, size=1):
    return SyncVectorEnv([partial(Sized, size)] * num_envs, autoreset_mode=AutoresetMode.NEXT_STEP)


def spec_of(maker: str, **more: Any) -> EnvironmentSpec:
    return EnvironmentSpec(name="sized", summary="", make=f"{HERE}:{maker}", **more)


SIZED = spec_of("Sized", evaluation_kwargs={"color": "blue", "size": 7})


def wrappers_of(env) -> list[str]:
    names = []
    while isinstance(env, gymnasium.Wrapper):
        names.append(type(env).__name__)
        env = env.env
    return names


def test_maker_gets_fields_then_kwargs_then_those_for_evaluation():
    built = make_env(SIZED, SizedConfig())
    assert (built.size, built.color) == (3, "red")
    config = SizedConfig(kwargs={"size": 4, "color": "green"})
    built = make_env(SIZED, config)
    assert (built.size, built.color) == (4, "green")
    built = make_env(SIZED, config, evaluation=True)
    assert (built.size, built.color) == (7, "blue")
    config = SizedConfig(kwargs={"size": 4}, evaluation_kwargs={"size": 5})
    assert make_env(SIZED, config, evaluation=True).size == 5
    assert make_env(SIZED, config).size == 4


def test_the_spec_s_own_arguments_come_first():
    spec = spec_of("Sized", kwargs={"size": 8, "color": "gold"})
    assert make_env(spec, EnvConfig()).size == 8
    built = make_env(spec, SizedConfig(kwargs={"color": "green"}))
    assert (built.size, built.color) == (3, "green")
    assert make_vector(spec, EnvConfig(), 2).envs[1].unwrapped.size == 8


def test_an_evaluation_set_adds_its_arguments_between_the_spec_s_and_the_config_s():
    sets = {"small": {"size": 2}, "large": {"size": 20}}
    spec = spec_of("Sized", evaluation_kwargs={"size": 5, "color": "blue"}, evaluation_sets=sets)
    built = make_env(spec, EnvConfig(), evaluation="large")
    assert (built.size, built.color) == (20, "blue")
    assert make_env(spec, EnvConfig(), evaluation=True).size == 2  # the first
    assert make_env(spec, EnvConfig()).size == 1
    config = EnvConfig(evaluation_kwargs={"size": 6})
    assert make_env(spec, config, evaluation="large").size == 6
    assert make_env(SIZED, EnvConfig(), evaluation="").size == 7  # the only one


def test_gymnasium_id_takes_kwargs_and_a_time_limit():
    env = make_env(PENDULUM, EnvConfig(kwargs={"g": 3.0}, max_episode_steps=2))
    assert env.unwrapped.g == 3.0
    env.reset(seed=0)
    action = np.zeros(1, np.float32)
    assert [env.step(action)[3] for _ in range(2)] == [False, True]
    assert wrappers_of(env) == ["TimeLimit", "OrderEnforcing"]


@pytest.mark.parametrize("spec", [SIZED, CONTINUOUS_CARTPOLE])
def test_time_limit_holds_for_any_maker(spec):
    env = make_env(spec, EnvConfig(max_episode_steps=3))
    assert wrappers_of(env).count("TimeLimit") == 1
    env.reset(seed=0)
    action = env.action_space.sample() * 0
    assert [env.step(action)[3] for _ in range(3)] == [False, False, True]


def test_wrappers_go_around_in_order_with_their_arguments():
    config = EnvConfig(
        wrappers=(
            {"entry": f"{HERE}:Doubled", "kwargs": {"factor": 5}},
            "gymnasium.wrappers:FlattenObservation",
        )
    )
    env = make_env(CARTPOLE, config)
    assert wrappers_of(env)[:2] == ["FlattenObservation", "Doubled"]
    env.reset(seed=0)
    assert env.step(0)[1] == 5.0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"kwargs": {"gravty": 1}},
            "env.kwargs: environment 'cartpole' got an unexpected keyword argument 'gravty'; "
            "it takes: sutton_barto_reward, render_mode.",
        ),
        (
            {"wrappers": ["nowhere.at_all:Wrapper"]},
            "env.wrappers[0].entry: 'nowhere.at_all:Wrapper' cannot be imported "
            "(ModuleNotFoundError: No module named 'nowhere'). "
            "Expected 'package.module:Wrapper'.",
        ),
        (
            {"wrappers": ["gymnasium.wrappers:FlattenObservation", "gymnasium.wrappers:Flat"]},
            "env.wrappers[1].entry: 'gymnasium.wrappers:Flat' cannot be imported (AttributeError",
        ),
        (
            {"wrappers": [{"entry": "gymnasium.wrappers:TimeLimit", "kwargs": {"steps": 3}}]},
            "env.wrappers[0].kwargs: environment 'cartpole' missing a required argument: "
            "'max_episode_steps'; it takes: max_episode_steps.",
        ),
        (
            {"wrappers": ["builtins:str"]},
            "env.wrappers[0].entry: 'builtins:str' returned '<TimeLimit<",
        ),
    ],
)
def test_bad_config_is_named_by_its_field(config, message):
    with pytest.raises(ConfigError) as caught:
        make_env(CARTPOLE, EnvConfig.model_validate(config))
    assert str(caught.value).startswith(message)


def test_wrapper_that_raises_is_a_fault_of_the_environment():
    config = EnvConfig(
        wrappers=({"entry": "gymnasium.wrappers:TimeLimit", "kwargs": {"max_episode_steps": -3}},)
    )
    with pytest.raises(EnvironmentFaultError, match=r"wrapper 'gymnasium\.wrappers:TimeLimit'"):
        make_env(CARTPOLE, config)


def test_maker_that_raises_is_a_fault_with_its_cause():
    with pytest.raises(EnvironmentFaultError) as caught:
        make_env(spec_of("raises"), EnvConfig())
    assert str(caught.value) == (
        "Environment 'sized' could not be built: ValueError: no such level."
    )
    assert isinstance(caught.value.__cause__, ValueError)


def test_maker_of_something_else_is_a_fault():
    with pytest.raises(EnvironmentFaultError, match=r"returned None, expected a gymnasium\.Env"):
        make_env(spec_of("returns_nothing"), EnvConfig())


def test_maker_that_does_not_exist_is_the_plugins_error():
    with pytest.raises(PluginError, match=r"'sized': there is no .*:Nothing"):
        make_env(spec_of("Nothing"), EnvConfig())
    with pytest.raises(PluginError, match="has nothing that builds one environment"):
        make_env(EnvironmentSpec(name="x", summary=""), EnvConfig())


def test_missing_package_is_named_with_the_command_to_install_it():
    with pytest.raises(PluginError) as caught:
        make_env(spec_of("needs_package"), EnvConfig())
    assert str(caught.value) == (
        "Environment 'sized' needs the package 'surely_not_installed', which is not installed. "
        "Run: pip install surely_not_installed"
    )
    assert caught.value.exit_code == 3


def test_missing_simulator_of_gymnasium_is_named_with_its_commands():
    def missing(**kwargs):
        raise gymnasium.error.DependencyNotInstalled(
            "Box2D is not installed, you can install it by run `pip install swig` followed by "
            '`pip install "gymnasium[box2d]"`'
        )

    with pytest.raises(PluginError) as caught:
        make_env(callable_spec(missing), EnvConfig())
    assert str(caught.value).endswith(
        "needs Box2D, which is not installed. "
        'Run: pip install swig && pip install "gymnasium[box2d]"'
    )


def test_simulator_that_is_installed_but_broken_is_not_called_missing():
    def too_old(**kwargs):
        text = 'MuJoCo is not installed, run `pip install "gymnasium[mujoco]"`'
        cause = ImportError("mujoco 2 is too old")
        raise gymnasium.error.DependencyNotInstalled(text) from cause

    with pytest.raises(PluginError) as caught:
        make_env(callable_spec(too_old), EnvConfig())
    assert str(caught.value).endswith(
        "needs MuJoCo, which fails to import (ImportError: mujoco 2 is too old). "
        'Run: pip install "gymnasium[mujoco]"'
    )


def test_rendering_needs_a_maker_that_can():
    env = make_env(CARTPOLE, EnvConfig(), render_mode="rgb_array")
    assert env.render_mode == "rgb_array"
    with pytest.raises(ConfigError, match="'sized' cannot be rendered: its maker takes no render"):
        make_env(SIZED, EnvConfig(), render_mode="rgb_array")


def test_gymnasiums_warnings_become_one_plain_line_and_others_stay(caplog):
    spec = spec_of("warns")
    with caplog.at_level(logging.WARNING, logger="rlplug.envs"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            make_env(spec, EnvConfig())
    assert caplog.messages == ["Environment 'sized': an old version"]
    with pytest.warns(UserWarning, match="something else"):
        make_env(spec, EnvConfig())


def test_old_version_of_an_id_is_built_as_asked():
    env = make_env(gymnasium_spec("CartPole-v0"), EnvConfig())
    assert env.spec.max_episode_steps == 200


@pytest.mark.parametrize(
    ("name", "near"),
    [("CartPol-v1", "'CartPole-v1'"), ("cartpole-v1", "'CartPole-v1'"), ("Taxi-v99", "'Taxi-v")],
)
def test_unknown_id_gets_the_nearest(name, near):
    with pytest.raises(UnknownNameError) as caught:
        gymnasium_spec(name)
    assert str(caught.value).startswith(f"Unknown environment {name!r}: Gymnasium has none of")
    assert near in str(caught.value)


def test_unknown_module_of_an_id_is_named():
    with pytest.raises(UnknownNameError, match="there is no module 'nowhere'"):
        gymnasium_spec("nowhere:Env-v0")


def test_id_with_a_module_imports_it():
    spec = gymnasium_spec("gymnasium.envs:Acrobot-v1")
    assert make_env(spec, EnvConfig()).spec.id == "Acrobot-v1"


def test_package_that_brings_an_id_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    known = {name: spec for name, spec in gymnasium.registry.items() if name[:4] != "ALE/"}
    monkeypatch.setattr(gymnasium, "registry", known)  # it may really be installed
    with pytest.raises(UnknownNameError, match="It comes with a package: pip install ale-py"):
        gymnasium_spec("ALE/Pong-v5")


def test_callable_with_a_name_is_found_by_it():
    spec = callable_spec(Sized)
    assert (type(spec), spec.make) == (EnvironmentSpec, f"{HERE}:Sized")
    assert EnvironmentSpec.model_validate(spec.model_dump()) == spec
    assert isinstance(make_env(spec, EnvConfig()), Sized)


def test_callable_without_a_name_is_held():
    spec = callable_spec(lambda size=2: Sized(size))
    assert isinstance(spec, CallableSpec)
    assert make_env(spec, EnvConfig(kwargs={"size": 9})).size == 9
    assert "factory" not in spec.model_dump()


def test_held_callable_travels_where_it_can_be_pickled():
    spec = callable_spec(partial(Sized, 5))
    assert make_env(pickle.loads(pickle.dumps(spec)), EnvConfig()).size == 5


def test_vector_is_sync_and_resets_in_the_same_step():
    vector = make_vector(CARTPOLE, EnvConfig(), 3)
    assert isinstance(vector, SyncVectorEnv)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert vector.num_envs == 3
    vector.close()


def test_vector_has_wrappers_limit_and_evaluation_in_each_environment():
    config = EnvConfig(wrappers=(f"{HERE}:Doubled",), max_episode_steps=5)
    vector = make_vector(SIZED, config, 2, evaluation=True)
    assert [wrappers_of(env) for env in vector.envs] == [
        ["SubEnvironment", "Doubled", "TimeLimit"]
    ] * 2
    assert vector.get_attr("size") == (7, 7)


NATIVE = EnvironmentSpec(
    name="native", summary="", make=f"{HERE}:Sized", make_vector=f"{HERE}:native_vector"
)


def test_native_vector_is_used_where_the_config_allows_it():
    native = make_vector(NATIVE, EnvConfig(kwargs={"size": 4}), 2)
    assert native.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert native.get_attr("size") == (4, 4)
    for config in (EnvConfig(vectorize="sync"), EnvConfig(wrappers=(f"{HERE}:Doubled",))):
        ours = make_vector(NATIVE, config, 2)
        assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def no_native_vector(num_envs: int, render_mode: str | None = None, size: int = 3) -> None:
    """Can never do what is asked for."""


def test_native_vector_that_cannot_gives_way_to_single_environments():
    spec = NATIVE.model_copy(update={"make_vector": f"{HERE}:no_native_vector"})
    vector = make_vector(spec, EnvConfig(kwargs={"size": 4}), 2)
    assert isinstance(vector, SyncVectorEnv)
    assert vector.get_attr("size") == (4, 4)


def test_keyword_arguments_of_a_spec_reach_both_makers_below_those_of_the_config():
    spec = NATIVE.model_copy(update={"kwargs": {"size": 5}})
    assert make_env(spec, EnvConfig()).size == 5
    assert make_vector(spec, EnvConfig(), 1).get_attr("size") == (5,)
    assert make_env(spec, EnvConfig(kwargs={"size": 6})).size == 6


def test_native_vector_without_a_single_form_cannot_be_wrapped():
    alone = NATIVE.model_copy(update={"make": None})
    with pytest.raises(PluginError, match="leave wrappers out"):
        make_vector(alone, EnvConfig(wrappers=(f"{HERE}:Doubled",)), 2)
    with pytest.raises(ConfigError, match="'native' got an unexpected keyword argument 'max_epis"):
        make_vector(alone, EnvConfig(max_episode_steps=3), 2)
    with pytest.raises(EnvironmentFaultError, match=r"expected a gymnasium\.vector\.VectorEnv"):
        make_vector(NATIVE.model_copy(update={"make_vector": "builtins:dict"}), EnvConfig(), 2)


@pytest.mark.parametrize(
    ("vectorize", "num_envs", "kind"),
    [("auto", 2, AsyncVectorEnv), ("auto", 1, SyncVectorEnv), ("sync", 2, SyncVectorEnv)],
)
def test_spec_says_how_several_step_together_unless_the_config_does(vectorize, num_envs, kind):
    slow = CARTPOLE.model_copy(update={"vectorize": "async"})
    vector = make_vector(slow, EnvConfig(vectorize=vectorize), num_envs)
    assert isinstance(vector, kind)
    vector.close()


def test_async_vector_plays_what_sync_plays():
    outcomes = []
    for vectorize, kind in (("sync", SyncVectorEnv), ("async", AsyncVectorEnv)):
        vector = make_vector(CARTPOLE, EnvConfig(vectorize=vectorize, max_episode_steps=4), 2)
        assert isinstance(vector, kind)
        steps = [vector.reset(seed=5)[0].copy()]
        steps += [vector.step(np.array([0, 1]))[0].copy() for _ in range(6)]
        vector.close()
        outcomes.append(np.stack(steps))
    np.testing.assert_array_equal(*outcomes)
