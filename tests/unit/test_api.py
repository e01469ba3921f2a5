from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rlplug
from rlplug.errors import ConfigError


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `train.run.train` is called with."""
    import rlplug.api

    noted: list[Any] = []
    monkeypatch.setattr(
        rlplug.api, "train_resolved", lambda resolved, **more: noted.append((resolved, more))
    )
    return noted


def test_python_builds_the_config_that_the_command_line_builds(trained: list[Any]) -> None:
    from rlplug.resolve import resolve

    rlplug.train(
        "dqn",
        "cartpole",
        steps=5_000,
        seed=3,
        workers=2,
        launcher="ray",
        mode="async",
        device="cpu",
        run_dir="out",
        agent={"batch_size": 32},
        **{"agent.head": "iqn"},
    )
    ((resolved, more),) = trained
    overrides = [("agent.batch_size", "32"), ("agent.head", "iqn")]
    overrides += [("launch.launcher", "ray"), ("launch.mode", "async")]
    same = resolve(
        "dqn", "cartpole", overrides=overrides, steps="5e3", seed="3", workers="2", device="cpu"
    )
    assert resolved.config == same.config
    assert more["run_root"] == Path("out")


def test_a_wrong_setting_is_an_error_in_words(trained: list[Any]) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'agent'"):
        rlplug.train("dqn", "cartpole", agnt={})
    assert not trained


def test_a_name_is_function_and_package_at_once() -> None:
    import rlplug.train.config

    assert rlplug.train.config.OffPolicyConfig().steps > 0  # type: ignore[attr-defined]
    assert callable(rlplug.train)
    assert callable(rlplug.evaluate)


def test_a_run_is_evaluated_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    import rlplug.api

    noted: list[Any] = []
    monkeypatch.setattr(rlplug.api, "evaluate_run", lambda *a, **k: noted.append((a, k)))
    rlplug.evaluate("somewhere", episodes=3)
    assert noted == [((Path("somewhere"),), {"episodes": 3})]


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        rlplug.trian  # type: ignore[attr-defined] # noqa: B018 - that is the point


def test_every_public_name_is_there() -> None:
    for name in rlplug.__all__:
        assert getattr(rlplug, name) is not None
        assert name in dir(rlplug)


def test_loading_a_policy_needs_neither_trainer_nor_replay() -> None:
    code = (
        "import sys, rlplug; rlplug.load; "
        "print({'rlplug.train.run', 'rlplug.api', 'rlplug.replay.storage'} & set(sys.modules), "
        "[m for m in sys.modules if m.startswith(('rlplug.train.', 'rlplug.replay.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("set() ")


def test_a_run_goes_on_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    import rlplug.api

    noted: list[Any] = []
    monkeypatch.setattr(rlplug.api, "resume_run", lambda *a, **k: noted.append((a, k)))
    rlplug.resume("somewhere", steps=2e5, checkpoint={"keep_last": 5})
    overrides = {"checkpoint": {"keep_last": 5}, "train.steps": 2e5}
    assert noted == [((Path("somewhere"),), {"overrides": overrides})]
