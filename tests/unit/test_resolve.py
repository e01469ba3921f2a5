from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import gymnasium
import pytest

from rlplug.config import ConstantSchedule, RunConfig
from rlplug.errors import (
    ConfigError,
    IncompatibleError,
    RunFolderError,
    UnknownNameError,
)
from rlplug.registry import discovery
from rlplug.resolve import CONFIG_FILE, check, load_run, resolve, to_yaml
from rlplug.specs import Preset

if TYPE_CHECKING:
    from pathlib import Path


def make_cartpole(**kwargs: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make("CartPole-v1", **kwargs)


@pytest.fixture
def preset(monkeypatch: pytest.MonkeyPatch) -> None:
    """One preset for any pair, and its kwargs."""
    found = Preset(
        algorithm="double-dqn",
        environment="cartpole",
        source="here",
        settings={
            "agent": {"batch_size": 32, "head": {"kind": "quantile", "num_quantiles": 8}},
            "replay": {"gamma": 0.9},
            "env": {"kwargs": {"sutton_barto_reward": True}},
        },
    )
    monkeypatch.setattr(discovery, "presets", lambda *_: [found])


def agent(config: RunConfig) -> Any:
    return config.agent


@pytest.mark.usefixtures("preset")
def test_each_layer_lies_over_the_ones_before(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("agent:\n  batch_size: 16\nreplay: {n_step: 3}\n")
    resolved = resolve(
        "double-dqn", "cartpole", config=file, overrides=[("replay.n_step", "5")], seed="7"
    )
    assert agent(resolved.config).batch_size == 16
    layers = resolved.layers
    assert layers["agent.target_update_rate"] == "default"
    assert layers["agent.bootstrap.kind"] == "algorithm"
    assert layers["replay.gamma"] == "preset"
    assert layers["env.kwargs.sutton_barto_reward"] == "preset"
    assert layers["agent.batch_size"] == "file"
    assert layers["replay.n_step"] == "command line"
    assert layers["seed"] == "command line"
    assert resolved.preset is not None


@pytest.mark.usefixtures("preset")
def test_another_kind_drops_what_the_preset_set_in_that_slot() -> None:
    resolved = resolve("double-dqn", "cartpole", overrides={"agent.head": "iqn"})
    assert agent(resolved.config).head.num_samples == 64
    assert resolved.layers["agent.head.kind"] == "argument"
    assert resolved.layers["agent.head.num_samples"] == "default"


@pytest.mark.usefixtures("preset")
def test_without_a_preset_only_the_algorithm_speaks() -> None:
    resolved = resolve("double-dqn", "cartpole", preset=None)
    assert resolved.preset is None
    assert set(resolved.layers.values()) == {"default", "algorithm", "command line"}


def test_every_setting_of_the_config_has_a_layer() -> None:
    resolved = resolve("dqn", "cartpole", overrides={"env.kwargs": {"a": {"b": 1}, "c": []}})
    assert resolved.layers["env.kwargs.a.b"] == "argument"
    assert resolved.layers["env.kwargs.c"] == "argument"
    assert resolved.layers["agent.optimizer.arguments"] == "default"


def test_shortcuts_stand_for_their_settings() -> None:
    config = resolve(
        "dqn", "cartpole", steps="1e4", workers=8, envs_per_worker="2", device="cpu", seed=3
    ).config
    assert config.train.steps == 10_000  # type: ignore[attr-defined]
    assert (config.launch.workers, config.launch.total_envs) == (8, 16)
    assert (config.device, config.seed) == ("cpu", 3)


def test_a_dotted_name_wins_over_its_shortcut() -> None:
    config = resolve("dqn", "cartpole", steps=10, overrides={"train.steps": 20}).config
    assert config.train.steps == 20  # type: ignore[attr-defined]


def test_python_gives_values_nested_or_dotted() -> None:
    nested = resolve("dqn", "cartpole", overrides={"agent": {"exploration": {"epsilon": 0.3}}})
    dotted = resolve("dqn", "cartpole", overrides={"agent.exploration.epsilon": 0.3})
    assert nested.config == dotted.config
    assert agent(nested.config).exploration.epsilon == ConstantSchedule(value=0.3)


def test_what_a_run_folder_keeps_gives_the_same_run_again(tmp_path: Path) -> None:
    resolved = resolve(
        "dqn",
        "cartpole",
        overrides=[
            ("agent.head", "iqn"),
            ("agent.optimizer.arguments.eps", "1.5e-4"),
            ("agent.network.noisy", "independent"),
            ("env.max_episode_steps", "100"),
            ("tracking.console", "off"),
        ],
    )
    (tmp_path / CONFIG_FILE).write_text(to_yaml(resolved.config))
    assert load_run(tmp_path).config == resolved.config
    assert resolve(None, None, config=tmp_path / CONFIG_FILE).config == resolved.config
    assert resolve("dqn", "CartPole-v1", config=tmp_path / CONFIG_FILE).config == resolved.config
    assert resolve("dqn", "cartpole", config=resolved.config).config == resolved.config


def test_a_finished_config_can_be_changed_on_the_way() -> None:
    first = resolve("dqn", "cartpole", seed=3).config
    assert resolve(None, None, config=first, seed=4).config == first.model_copy(update={"seed": 4})


def test_a_file_about_another_pair_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("# mine\nalgorithm: double-dqn\nenvironment: cartpole\n")
    with pytest.raises(ConfigError, match=r"a\.yaml, line 2: these are settings for double-dqn"):
        resolve("dqn", "cartpole", config=file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent:\n  batchsize: 3\n", "line 2: There is no setting 'agent.batchsize'"),
        ("agent:\n  head:\n    kind: foo\n", "line 3: agent.head: 'foo' is not scalar"),
        ("agent:\n\n  batch_size: many\n", "line 3: agent.batch_size: 'many' is not a whole"),
        ("replay: {gamma: 2}\n", "line 1: replay.gamma: 2 is not a number from 0 to 1"),
        ("agent: {head: c51, bootstrap: munchausen}", "line 1: agent: head 'categorical' cannot"),
        ("agent: 3\n", "line 1: agent: 3 is not a mapping"),
        ("algorithm: 3\n", "line 1: algorithm: 3 is not text."),
        ("agnt: {}\n", "line 1: There is no section 'agnt'. Did you mean 'agent'?"),
    ],
)
def test_a_fault_in_a_file_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve("dqn", "cartpole", config=file)
    assert f"a.yaml, {message}" in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope\.yaml cannot be read: No such file"):
        resolve("dqn", "cartpole", config=tmp_path / "nope.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        resolve("dqn", "cartpole", config=tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        resolve("dqn", "cartpole", config=tmp_path / "bytes.yaml")


def test_several_faults_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("dqn", "cartpole", overrides={"agent.batch_size": -1, "replay.gamma": "x"})
    assert "agent.batch_size: -1 is not a whole number above 0." in str(caught.value)
    assert "replay.gamma: 'x' is not a number from 0 to 1." in str(caught.value)


def test_both_wrong_names_are_said_at_once() -> None:
    with pytest.raises(UnknownNameError) as caught:
        resolve("dqnn", "cartpol")
    message = str(caught.value)
    assert "'dqnn'" in message
    assert "'dqn'" in message
    assert "'cartpol'" in message
    assert "'cartpole'" in message
    assert "rlplug list" in message


def test_sections_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"replay\.n_step is 3"):
        resolve("dqn", "cartpole", overrides={"agent.bootstrap": "munchausen", "replay.n_step": 3})


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", ""])
def test_a_device_that_torch_does_not_know_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match="device"):
        resolve("dqn", "cartpole", device=device)


def test_a_preset_that_is_not_there_is_refused_and_no_default_one_is_not() -> None:
    with pytest.raises(ConfigError, match="There is no preset 'fast' of dqn on cartpole"):
        resolve("dqn", "cartpole", preset="fast")
    assert resolve("dqn", "Taxi-v4").preset is None


def test_a_gymnasium_id_works_as_it_is() -> None:
    resolved = resolve("dqn", "FrozenLake-v1")
    assert resolved.config.environment == "FrozenLake-v1"
    assert resolved.environment.gymnasium_id == "FrozenLake-v1"


def test_an_alias_is_the_registered_environment() -> None:
    assert resolve("dqn", "CartPole-v1").config.environment == "cartpole"


def test_a_name_with_its_distribution_stays_so() -> None:
    assert resolve("rlplug:dqn", "cartpole").config.algorithm == "rlplug:dqn"


def test_a_callable_is_an_environment() -> None:
    resolved = resolve("dqn", make_cartpole)
    assert resolved.config.environment == f"{__name__}:make_cartpole"
    assert check(resolved).action == gymnasium.spaces.Discrete(2)
    again = resolve("dqn", resolved.config.environment)
    assert again.environment == resolved.environment


def test_a_run_of_a_lost_callable_can_still_be_read(tmp_path: Path) -> None:
    resolved = resolve("dqn", lambda: gymnasium.make("CartPole-v1"))
    assert check(resolved).action == gymnasium.spaces.Discrete(2)
    (tmp_path / CONFIG_FILE).write_text(to_yaml(resolved.config))
    assert load_run(tmp_path).config == resolved.config


def test_an_environment_that_does_not_fit_is_refused() -> None:
    with pytest.raises(IncompatibleError, match=r"dqn needs discrete actions; pendulum has Box"):
        check(resolve("dqn", "pendulum"))


def test_arguments_that_the_environment_does_not_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="sutton"):
        check(resolve("dqn", "cartpole", overrides={"env.kwargs": {"sutton": 1}}))


def test_a_value_without_a_form_in_yaml_is_refused() -> None:
    resolved = resolve("dqn", "cartpole", overrides={"env.kwargs": {"f": object()}})
    with pytest.raises(ConfigError, match="plain values"):
        to_yaml(resolved.config)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"has no config\.yaml"):
        load_run(tmp_path)
    with pytest.raises(RunFolderError, match="does not exist"):
        load_run(tmp_path / "nope")


def test_settings_can_be_put_over_those_of_a_run(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text(to_yaml(resolve("dqn", "cartpole").config))
    resolved = load_run(tmp_path, [("train.steps", "5e5")])
    assert resolved.config.train.steps == 500_000  # type: ignore[attr-defined]
    assert resolved.layers["train.steps"] == "command line"


def test_a_settings_file_beyond_all_bounds_is_refused_and_a_pipe_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.yaml").open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(ConfigError, match=r"huge\.yaml cannot be read: it has 1,099,"):
        resolve("dqn", "cartpole", config=tmp_path / "huge.yaml")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("seed: 3\n",), daemon=True)
    writer.start()
    assert resolve("dqn", "cartpole", config=pipe).config.seed == 3
    writer.join(10)
