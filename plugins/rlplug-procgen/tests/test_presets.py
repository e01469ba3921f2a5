"""Presets resolve for every game, and say where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

import rlplug_procgen.presets
from rlplug.registry import discovery
from rlplug.resolve import resolve

ALGORITHMS = sorted(path.stem for path in Path(rlplug_procgen.presets.__path__[0]).glob("*.yaml"))
VALUE_FAMILY = {
    "dqn", "double-dqn", "dueling-dqn", "n-step-dqn", "per-dqn", "noisy-dqn", "c51", "qr-dqn",
    "iqn", "m-dqn", "m-iqn", "rainbow", "rainbow-iqn",
}  # fmt: skip


def test_there_are_presets_for_ppo_and_the_value_family() -> None:
    assert set(ALGORITHMS) == {"ppo"} | VALUE_FAMILY


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_preset_holds_for_every_game(algorithm: str) -> None:
    for game in ("coinrun", "procgen/starpilot"):
        resolved = resolve(algorithm, game)
        assert resolved.preset is not None
        assert "arXiv" in resolved.preset.source
        agent = resolved.config.agent.model_dump()
        assert agent["network"]["encoder"]["kind"] == "impala-resnet"
        assert resolved.config.launch.total_envs == 64


def test_ppo_has_the_papers_values() -> None:
    config = resolve("ppo", "starpilot").config
    agent, train = config.agent.model_dump(), config.train.model_dump()
    rollout = config.launch.total_envs * train["rollout_length"]
    assert (config.launch.total_envs, train["rollout_length"]) == (64, 256)
    assert rollout / agent["batch_size"] == 8
    assert (agent["epochs"], agent["gamma"], agent["advantage"]["lambda_"]) == (3, 0.999, 0.95)
    assert (agent["optimizer"]["learning_rate"], agent["optimizer"]["decay"]) == (5e-4, "constant")
    assert agent["entropy_coefficient"]["value"] == 0.01
    assert agent["objective"]["clip_ratio"]["value"] == 0.2
    assert agent["normalize_rewards"]
    assert not agent["normalize_observations"]
    assert train["steps"] == 25_000_000
    assert config.env.model_dump()["distribution_mode"] == "easy"


def test_a_short_run_changes_what_its_comment_names_and_nothing_else() -> None:
    whole, short = (resolve("ppo", "maze", preset=name).config for name in ("default", "short"))
    assert short.train.model_dump()["rollout_length"] * short.launch.total_envs == 2048
    expected = whole.agent.model_dump() | {"batch_size": 512, "gamma": 0.99}
    expected["network"] |= {"precision": "auto"}
    expected["network"]["encoder"] |= {"channels": (8, 16, 16)}
    assert short.agent.model_dump() == expected


def test_presets_are_found_by_the_pattern_of_the_family() -> None:
    assert [preset.name for preset in discovery.presets("ppo", "maze")] == ["default", "short"]
