from __future__ import annotations

import json
from typing import Any

from rlplug.resolve import resolve


def test_every_setting_is_shown_with_its_layer(cli: Any) -> None:
    outcome = cli("show double-dqn cartpole --agent.head iqn --steps 1e4")
    assert outcome.code == 0
    rows = {line.split()[0]: line.split() for line in outcome.out.splitlines() if line}
    assert rows["agent.bootstrap.kind"] == ["agent.bootstrap.kind", "double", "algorithm"]
    assert rows["agent.head.kind"][1:] == ["implicit-quantile", "command", "line"]
    assert rows["agent.head.num_samples"][1:] == ["64", "default"]
    assert rows["train.steps"][1:] == ["10000", "command", "line"]
    assert rows["agent.network.noisy"][1] == "none"


def test_the_presets_source_is_named(cli: Any) -> None:
    preset = resolve("dqn", "cartpole").preset
    assert preset is not None
    assert preset.source in cli("show dqn cartpole").out


def test_json_holds_values_and_layers(cli: Any) -> None:
    shown = json.loads(cli("show dqn cartpole --json --seed 3").out)
    assert (shown["algorithm"], shown["environment"]) == ("dqn", "cartpole")
    assert shown["settings"]["seed"] == {"value": 3, "layer": "command line"}
    assert set(shown["preset"]) == {"name", "source", "scored"}
    assert set(shown["settings"]) == set(resolve("dqn", "cartpole").layers)
