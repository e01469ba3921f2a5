"""Building environments from their specs and the run's `env` section."""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import inspect
import logging
import multiprocessing
import re
import warnings
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium.envs.registration import load_env_creator
from gymnasium.error import DependencyNotInstalled
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.wrappers import TimeLimit

from rlplug.envs.action_masks import fold_mask
from rlplug.envs.config import EnvConfig
from rlplug.envs.spec import CallableSpec
from rlplug.envs.sub_environment import SubEnvironmentMaker, describe_error
from rlplug.envs.sync_environments import SyncEnvironments
from rlplug.errors import (
    ConfigError,
    EnvironmentFaultError,
    PluginError,
    RlplugError,
    UnknownNameError,
)
from rlplug.specs import EnvironmentSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gymnasium.envs.registration import EnvSpec

    from rlplug.envs.config import WrapperConfig

    Env = gymnasium.Env[Any, Any]
    VectorEnv = gymnasium.vector.VectorEnv[Any, Any, Any]

logger = logging.getLogger("rlplug.envs")


def make_env(
    spec: EnvironmentSpec,
    config: EnvConfig,
    *,
    render_mode: str | None = None,
    evaluation: bool | str = False,
) -> Env:
    """Build one environment: its maker, the time limit, the config's wrappers, its action masks.

    Args:
        spec: What to build.
        config: The run's `env` section.
        render_mode: Gymnasium's; None renders nothing.
        evaluation: Add the keyword arguments for evaluation: those of the set of this name; True
            takes the first.

    Raises:
        ConfigError: keyword arguments it does not take, or a wrapper that does not exist.
        PluginError: a package that it needs is not installed, or its maker does not exist.
        EnvironmentFaultError: it raised, or what was built is no `gymnasium.Env`.
    """
    kwargs = _keyword_arguments(spec, config, evaluation=evaluation)
    with _building(spec.name):
        env = _from_maker(spec, config, kwargs, render_mode)
    for position, wrapper in enumerate(config.wrappers):
        env = _wrapped(env, wrapper, f"env.wrappers[{position}]", spec.name)
    if config.action_mask == "info":
        with _building(spec.name):
            env = fold_mask(env)
    return env


def make_vector(
    spec: EnvironmentSpec,
    config: EnvConfig,
    num_envs: int,
    *,
    render_mode: str | None = None,
    evaluation: bool | str = False,
) -> VectorEnv:
    """Build `num_envs` environments that step together.

    The spec's native vector environment where there is one, the config allows it (no wrappers,
    `vectorize=auto`) and it can do what is asked for; else Gymnasium's, around `SubEnvironment`s,
    which reset in the same step: in processes of their own where the config says so, or leaves it
    to a spec that does.
    Arrays they return are written over by the next step. Of the infos of single environments in
    this process, the batch has those that the step adapter reads (`SyncEnvironments`).
    """
    if spec.make_vector is not None and config.vectorize == "auto" and not config.wrappers:
        kwargs = _keyword_arguments(spec, config, evaluation=evaluation)
        with _building(spec.name):
            native = _native_vector(spec, config, kwargs, num_envs, render_mode)
        if native is not None:
            return native
    access = None if spec.state is None else _import(spec.name, spec.state)
    make = functools.partial(make_env, spec, config, render_mode=render_mode, evaluation=evaluation)
    makers = [
        SubEnvironmentMaker(make, spec.name, index, access, config.check)
        for index in range(num_envs)
    ]
    default = spec.vectorize if num_envs > 1 else "sync"
    vectorize = default if config.vectorize == "auto" else config.vectorize
    with _building(spec.name):
        if vectorize == "sync":
            return SyncEnvironments(makers, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
        return AsyncVectorEnv(
            makers,
            copy=False,
            context=_start_method(),
            autoreset_mode=AutoresetMode.SAME_STEP,
        )


def gymnasium_spec(name: str) -> EnvironmentSpec:
    """The spec of an id that Gymnasium knows: `LunarLander-v3`, `ALE/Pong-v5`, `module:Env-v0`.

    Raises:
        UnknownNameError: with the nearest names, and the package to install where it is known.
    """
    _registration(name)
    return EnvironmentSpec(name=name, summary=f"Gymnasium's {name}", gymnasium_id=name)


# Packages that register their environments when they are imported: prefix of ids, module, package.
_PROVIDERS = (
    ("ALE/", "ale_py", "ale-py"),
    ("MiniGrid-", "minigrid", "minigrid"),
    ("BabyAI-", "minigrid", "minigrid"),
)


def _registration(gymnasium_id: str) -> EnvSpec:
    module, _, name = gymnasium_id.rpartition(":")
    provider = next((each for each in _PROVIDERS if name.startswith(each[0])), None)
    advice = ""
    if not module and provider is not None and name not in gymnasium.registry:
        module, advice = provider[1], f" It comes with a package: pip install {provider[2]}"
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UnknownNameError(
                f"Unknown environment {gymnasium_id!r}: there is no module {error.name!r}.{advice}"
            ) from error
    if name in gymnasium.registry:
        return gymnasium.registry[name]
    by_lower = {known.lower(): known for known in gymnasium.registry}
    near = difflib.get_close_matches(name.lower(), by_lower, n=3)
    advice = f" Did you mean {' or '.join(repr(by_lower[each]) for each in near)}?" if near else ""
    raise UnknownNameError(
        f"Unknown environment {gymnasium_id!r}: Gymnasium has none of this id.{advice} "
        "(run: rlplug list environments)"
    )


def _keyword_arguments(
    spec: EnvironmentSpec, config: EnvConfig, *, evaluation: bool | str
) -> dict[str, Any]:
    """What the maker gets: the spec's, the config's own fields, `kwargs`, those for evaluation."""
    own_fields = type(config).model_fields.keys() - EnvConfig.model_fields.keys()
    kwargs = spec.kwargs | {name: getattr(config, name) for name in own_fields} | config.kwargs
    if evaluation is False:
        return kwargs
    chosen = spec.set_names[0] if evaluation is True else evaluation
    of_set = spec.evaluation_sets[chosen] if chosen else {}
    return kwargs | spec.evaluation_kwargs | of_set | config.evaluation_kwargs


def _from_maker(
    spec: EnvironmentSpec, config: EnvConfig, kwargs: dict[str, Any], render_mode: str | None
) -> Env:
    limit = config.max_episode_steps
    if render_mode is not None:
        kwargs = {**kwargs, "render_mode": render_mode}
    if spec.gymnasium_id is not None:
        registration = _registration(spec.gymnasium_id)
        creator: Any = registration.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
        _check_arguments(spec.name, creator, {**registration.kwargs, **kwargs})
        return gymnasium.make(
            registration, max_episode_steps=limit, disable_env_checker=True, **kwargs
        )
    maker = spec.factory if isinstance(spec, CallableSpec) else _import(spec.name, spec.make)
    if limit is not None and _takes(maker, "max_episode_steps"):
        kwargs, limit = {**kwargs, "max_episode_steps": limit}, None
    _check_arguments(spec.name, maker, kwargs)
    env = maker(**kwargs)
    if not isinstance(env, gymnasium.Env):
        raise EnvironmentFaultError(
            f"Environment {spec.name!r}: its maker returned {env!r}, expected a gymnasium.Env."
        )
    return env if limit is None else TimeLimit(env, limit)


def _native_vector(
    spec: EnvironmentSpec,
    config: EnvConfig,
    kwargs: dict[str, Any],
    num_envs: int,
    render_mode: str | None,
) -> VectorEnv | None:
    maker = _import(spec.name, spec.make_vector)
    if config.max_episode_steps is not None:
        kwargs = {**kwargs, "max_episode_steps": config.max_episode_steps}
    kwargs = {"num_envs": num_envs, "render_mode": render_mode, **kwargs}
    _check_arguments(spec.name, maker, kwargs)
    env = maker(**kwargs)
    if env is not None and not isinstance(env, gymnasium.vector.VectorEnv):
        raise EnvironmentFaultError(
            f"Environment {spec.name!r}: {spec.make_vector} returned {env!r}, expected a "
            "gymnasium.vector.VectorEnv."
        )
    return env


def _wrapped(env: Env, wrapper: WrapperConfig, field: str, name: str) -> Env:
    module, _, attribute = wrapper.entry.partition(":")
    try:
        make = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{field}.entry: {wrapper.entry!r} cannot be imported ({describe_error(error)}). "
            "Expected 'package.module:Wrapper'."
        ) from error
    _check_arguments(name, make, wrapper.kwargs, env, field=f"{field}.kwargs")
    try:
        wrapped = make(env, **wrapper.kwargs)
    except Exception as error:
        raise EnvironmentFaultError(
            f"Environment {name!r}: its wrapper {wrapper.entry!r} raised {describe_error(error)}."
        ) from error
    if not isinstance(wrapped, gymnasium.Env):
        raise ConfigError(
            f"{field}.entry: {wrapper.entry!r} returned {wrapped!r}, expected a gymnasium.Env."
        )
    return wrapped


def _import(name: str, path: str | None) -> Any:
    """What an import string of a spec names."""
    if path is None:
        raise PluginError(
            f"Environment {name!r} has nothing that builds one environment. Pass the callable that "
            "makes it, or leave wrappers out and env.vectorize at auto."
        )
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError as error:
        raise PluginError(f"Environment {name!r}: there is no {path}.") from error


def _parameters(maker: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """None for callables that do not tell, such as some written in C."""
    try:
        return list(inspect.signature(maker).parameters.values())
    except ValueError:
        return None


def _takes(maker: Callable[..., Any], argument: str) -> bool:
    return any(parameter.name == argument for parameter in _parameters(maker) or ())


def _check_arguments(
    name: str, maker: Any, kwargs: dict[str, Any], *positional: Any, field: str = "env.kwargs"
) -> None:
    """Refuse keyword arguments that a maker does not take, before it is called."""
    parameters = _parameters(maker)
    if parameters is None:
        return
    try:
        inspect.Signature(parameters).bind(*positional, **kwargs)
    except TypeError as error:
        if "'render_mode'" in str(error):
            raise ConfigError(
                f"Environment {name!r} cannot be rendered: its maker takes no render_mode."
            ) from error
        known = [parameter.name for parameter in parameters[len(positional) :]]
        raise ConfigError(
            f"{field}: environment {name!r} {error}; it takes: {', '.join(known) or 'nothing'}."
        ) from error


def _start_method() -> str:
    """How processes start: not by a fork of this one, whose threads may hold locks."""
    methods = multiprocessing.get_all_start_methods()
    return "forkserver" if "forkserver" in methods else "spawn"


@contextlib.contextmanager
def _building(name: str) -> Iterator[None]:
    """Name the environment in whatever goes wrong, and say Gymnasium's warnings in plain lines."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message=_GYMNASIUM_WARNING.pattern)
        try:
            yield
        except RlplugError:
            raise
        except (ImportError, DependencyNotInstalled) as error:
            raise PluginError(_missing_package(name, error)) from error
        except Exception as error:
            raise EnvironmentFaultError(
                f"Environment {name!r} could not be built: {describe_error(error)}."
            ) from error
    for each in caught:
        if own := _GYMNASIUM_WARNING.fullmatch(str(each.message)):
            _warn_once(f"Environment {name!r}: {own['text']}")
        else:
            warnings.showwarning(each.message, each.category, each.filename, each.lineno)


_GYMNASIUM_WARNING = re.compile(r"(?s)\x1b\[33mWARN: (?P<text>.*)\x1b\[0m")


@functools.cache
def _warn_once(text: str) -> None:
    """Each of many environments says the same."""
    logger.warning("%s", text)


def _missing_package(name: str, error: Exception) -> str:
    commands = re.findall(r"`(pip install [^`]+)`", str(error))
    what = str(error).partition(" is not installed")[0]
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        package = error.name.partition(".")[0]
        what, commands = f"the package {package!r}", [f"pip install {package}"]
    if not commands:
        return f"Environment {name!r} could not be imported: {describe_error(error)}."
    cause, state = error.__cause__, "is not installed"
    if isinstance(cause, ImportError) and not isinstance(cause, ModuleNotFoundError):
        state = f"fails to import ({describe_error(cause)})"
    return f"Environment {name!r} needs {what}, which {state}. Run: {' && '.join(commands)}"
