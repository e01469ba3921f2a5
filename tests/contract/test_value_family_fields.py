"""Every setting of the value family changes something: weights, actions, targets, or a time.

The settings are listed from the config models, so that a new field without an entry here fails.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from value_family_world import SHORT, SMALL_HEADS, Dot, Run, resolved

from rlplug.config import Config
from rlplug.resolve import Setting, run_model, settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Key = tuple[str, str | None]


class Flip(NamedTuple):
    """A setting that is changed in an otherwise equal run."""

    value: Any
    """What it is set to."""
    differs: str | None = "weights"
    """What of `Run.trace` must differ; None where nothing may."""
    on: Mapping[str, Any] = MappingProxyType({})
    """Settings of both runs, over those of `SHORT`."""
    environment: Any = "cartpole"


CATEGORICAL, QUANTILE, IMPLICIT = (
    {"agent.head": {"kind": kind} | SMALL_HEADS[kind]}
    for kind in ("categorical", "quantile", "implicit-quantile")
)
MUNCHAUSEN = {"agent.bootstrap": "munchausen"}
NOISY = {"agent.network.noisy": "factorised"}
PRIORITIZED = {"replay.sampler": "prioritized"}
ON_IMAGES: dict[str, Any] = {"agent.network.encoder.hidden_sizes": None, "train.steps": 40}
EPSILON, BETA = "agent.exploration.epsilon", "replay.sampler.importance_exponent"
LINEAR = {"kind": "linear", "start": 0.8, "end": 0.2, "fraction": 1.0}
EXPONENTIAL = {"kind": "exponential", "start": 0.8, "end": 0.2, "half_life_env_steps": 10}
PIECEWISE = {"kind": "piecewise", "points": [[0, 0.8], [30, 0.2]]}


def schedule(name: str, kind: str, differs: str, on: dict[str, Any]) -> dict[Key, list[Flip]]:
    """The four kinds of a schedule in a slot's `kind`, and the fields of each."""

    def flip(value: Any, base: Any) -> list[Flip]:
        return [Flip(value, differs, on | {name: base})]

    return {
        (name, kind): [
            Flip(value, differs, on | {name: base})
            for value, base in ((0.5, LINEAR), (LINEAR, 0.5), (EXPONENTIAL, 0.5), (PIECEWISE, 0.5))
        ],
        (f"{name}.value", "constant"): flip(0.9, 0.3),
        (f"{name}.start", "linear"): flip(0.3, LINEAR),
        (f"{name}.end", "linear"): flip(0.9, LINEAR),
        (f"{name}.env_steps", "linear"): flip(20, LINEAR),
        (f"{name}.fraction", "linear"): flip(0.2, LINEAR),
        (f"{name}.start", "exponential"): flip(0.3, EXPONENTIAL),
        (f"{name}.end", "exponential"): flip(0.9, EXPONENTIAL),
        (f"{name}.half_life_env_steps", "exponential"): flip(1, EXPONENTIAL),
        (f"{name}.points", "piecewise"): flip([[0, 0.3], [30, 0.9]], PIECEWISE),
    }


FLIPS: dict[Key, list[Flip]] = {
    ("agent.head", None): [
        Flip("categorical"), Flip("quantile"), Flip("implicit-quantile"),
        Flip("scalar", on=CATEGORICAL),
    ],
    ("agent.head.huber_threshold", "scalar"): [Flip(0.1), Flip(None)],
    ("agent.head.num_atoms", "categorical"): [Flip(7, on=CATEGORICAL)],
    ("agent.head.min_return", "categorical"): [Flip(-3.0, on=CATEGORICAL)],
    ("agent.head.max_return", "categorical"): [Flip(3.0, on=CATEGORICAL)],
    ("agent.head.num_quantiles", "quantile"): [Flip(5, on=QUANTILE)],
    ("agent.head.huber_threshold", "quantile"): [Flip(0.1, on=QUANTILE), Flip(0.0, on=QUANTILE)],
    ("agent.head.num_cosines", "implicit-quantile"): [Flip(4, on=IMPLICIT)],
    ("agent.head.num_samples", "implicit-quantile"): [Flip(6, on=IMPLICIT)],
    ("agent.head.num_target_samples", "implicit-quantile"): [Flip(6, on=IMPLICIT)],
    ("agent.head.num_acting_samples", "implicit-quantile"): [Flip(6, "acting values", IMPLICIT)],
    ("agent.head.risk_level", "implicit-quantile"): [Flip(0.1, "acting values", IMPLICIT)],
    ("agent.head.huber_threshold", "implicit-quantile"): [Flip(0.1, on=IMPLICIT)],
    ("agent.bootstrap", None): [
        Flip("double", on={"agent.optimizer.learning_rate": 0.1}),
        Flip("munchausen"), Flip("max", on=MUNCHAUSEN),
    ],
    ("agent.bootstrap.scale", "munchausen"): [Flip(0.5, on=MUNCHAUSEN)],
    ("agent.bootstrap.temperature", "munchausen"): [Flip(0.3, on=MUNCHAUSEN)],
    ("agent.bootstrap.floor", "munchausen"): [Flip(-0.01, on=MUNCHAUSEN)],
    ("agent.exploration", None): [
        Flip("noisy", "actions", NOISY),
        Flip("epsilon", "actions", NOISY | {"agent.exploration": "noisy"}),
    ],
    **schedule(EPSILON, "epsilon", "actions", {}),
    ("agent.exploration.ladder_exponent", "epsilon"): [Flip(7.0, "actions", {EPSILON: 0.4})],
    ("agent.exploration.evaluation_epsilon", "epsilon"): [Flip(0.5, "greedy actions")],
    ("agent.exploration.evaluation_epsilon", "noisy"): [
        Flip(0.5, "greedy actions", NOISY | {"agent.exploration": "noisy"})
    ],
    ("agent.network.encoder", None): [
        Flip("mlp", environment=Dot, on=ON_IMAGES),
        Flip("impala-resnet", environment=Dot, on=ON_IMAGES),
        Flip("nature-cnn", environment=Dot, on=ON_IMAGES | {"agent.network.encoder": "mlp"}),
        Flip("auto", environment=Dot, on=ON_IMAGES | {"agent.network.encoder": "mlp"}),
    ],
    ("agent.network.encoder.hidden_sizes", "auto"): [Flip([8]), Flip([16, 16]), Flip([])],
    ("agent.network.encoder.hidden_sizes", "mlp"): [
        Flip([8], on={"agent.network.encoder": "mlp"})
    ],
    ("agent.network.encoder.channels", "impala-resnet"): [
        Flip([4, 4], environment=Dot, on=ON_IMAGES | {"agent.network.encoder": "impala-resnet"})
    ],
    ("agent.network.hidden_sizes", None): [Flip([8]), Flip([16, 16]), Flip([])],
    ("agent.network.dueling", None): [Flip(True)],
    ("agent.network.noisy", None): [
        Flip("factorised"), Flip("independent", on=NOISY), Flip(None, on=NOISY),
    ],
    ("agent.network.noisy.initial_sigma", "factorised"): [Flip(0.1, on=NOISY)],
    ("agent.network.precision", None): [
        Flip("bfloat16"), Flip("bfloat16", on=NOISY),
        Flip("auto", on={"agent.network.precision": "bfloat16"}),
    ],
    ("agent.optimizer.name", None): [Flip("sgd"), Flip("rmsprop")],
    ("agent.optimizer.learning_rate", None): [Flip(0.02)],
    ("agent.optimizer.decay", None): [Flip("linear"), Flip("cosine"), Flip("square-root")],
    ("agent.optimizer.final_fraction", None): [Flip(0.5, on={"agent.optimizer.decay": "linear"})],
    ("agent.optimizer.arguments", None): [Flip({"betas": [0.5, 0.9]})],
    ("agent.optimizer.max_gradient_norm", None): [Flip(0.01)],
    ("agent.batch_size", None): [Flip(4)],
    ("agent.target_update_every_updates", None): [Flip(3, "target")],
    ("agent.target_update_rate", None): [Flip(0.5, "target")],
    ("replay.capacity", None): [Flip(20)],
    ("replay.gamma", None): [Flip(0.9), Flip(0.9, on={"replay.n_step": 3})],
    ("replay.n_step", None): [Flip(3)],
    ("replay.sampler", None): [Flip("prioritized"), Flip("uniform", on=PRIORITIZED)],
    ("replay.sampler.priority_exponent", "prioritized"): [Flip(1.0, on=PRIORITIZED)],
    **schedule(BETA, "prioritized", "weights", PRIORITIZED),
    ("replay.sampler.priority_floor", "prioritized"): [Flip(1.0, on=PRIORITIZED)],
    ("replay.sampler.uniform_mix", "prioritized"): [Flip(0.5, on=PRIORITIZED)],
    ("replay.sampler.new_priority", "prioritized"): [Flip("policy", on=PRIORITIZED)],
    ("replay.reward.scale", None): [Flip(0.5)],
    ("replay.reward.clip", None): [Flip(0.5)],
    ("train.steps", None): [Flip(80, "env steps")],
    ("train.collect_env_steps", None): [Flip(10, "updates at")],
    ("train.warmup_env_steps", None): [Flip(30, "updates at")],
    ("train.updates_per_env_step", None): [Flip(0.25, "updates at")],
}  # fmt: skip

STORES_THE_SAME = {
    "replay.storage": "where rows lie; the same rows are drawn from memory, disk and device",
    "replay.frame_stack": "how stacks are stored; the very same stacks are drawn",
}
"""Settings that may change nothing a run learns, and why."""
FLIPS |= {
    ("replay.storage", None): [
        Flip(place, None, environment=environment, on=on)
        for place in ("disk", "device")
        for environment, on in (("cartpole", PRIORITIZED), (Dot, ON_IMAGES))
    ],
    ("replay.frame_stack", None): [
        Flip(stored, None, environment=Dot, on=ON_IMAGES | PRIORITIZED)
        for stored in ("unique", "whole")
    ],
}
CASES = [(key, flip) for key, flips in FLIPS.items() for flip in flips]


@cache
def every_setting() -> dict[Key, Setting]:
    """The settings of the sections `agent`, `replay` and `train`, from their models."""
    found = resolved("dqn")
    model = run_model(found.algorithm, found.environment.config, found.trainer)
    sections = {name: model.model_fields[name].annotation for name in ("agent", "replay", "train")}
    listed: dict[Key, Setting] = {}
    for name, section in sections.items():
        assert isinstance(section, type)
        assert issubclass(section, Config)
        listed |= {(s.name, s.kind): s for s in settings(section, f"{name}.")}
    # what a registered network takes is its own; tests/unit/nn shows that it is built
    mine = {key: setting for key, setting in listed.items() if key[1] != "registered"}
    del mine["agent.network.compile", None]  # tests/integration/test_compiled_networks.py has it
    return mine


def test_each_setting_has_an_entry_and_each_entry_a_setting() -> None:
    assert FLIPS.keys() == every_setting().keys()


def test_each_choice_of_a_slot_is_tried() -> None:
    for key, setting in every_setting().items():
        choices = set(setting.shape.choices) - {"true", "false", "none", "registered"}
        tried = {str(setting.default)}
        for flip in FLIPS[key]:
            value = resolved("dqn", settings_of(key, flip), environment=flip.environment).config
            for part in key[0].split("."):
                value = getattr(value, part)
            tried.add(str(getattr(value, "kind", value)))
        assert choices <= tried, key


def settings_of(key: Key, flip: Flip) -> dict[str, Any]:
    """The settings of the changed run."""
    return base_of(flip) | {key[0]: flip.value}


def base_of(flip: Flip) -> dict[str, Any]:
    """The settings of the unchanged run."""
    together = SHORT | dict(flip.on)
    return {name: value for name, value in together.items() if value is not None}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a run with these settings came to; runs of the same config are played once."""
    played: dict[str, Any] = {}

    def trace(environment: Any, settings: dict[str, Any]) -> Any:
        found = resolved("dqn", settings, environment=environment)
        name = found.config.model_dump_json()
        if name not in played:
            folder: Path = tmp_path_factory.mktemp("run")
            played[name] = Run(found, folder).train().trace()
        return played[name]

    return trace


@pytest.mark.parametrize(("key", "flip"), CASES, ids=lambda each: getattr(each, "value", each[0]))
def test_each_setting_changes_what_it_should(key: Key, flip: Flip, traced: Any) -> None:
    before = traced(flip.environment, base_of(flip))
    after = traced(flip.environment, settings_of(key, flip))
    if flip.differs is None:
        assert key[0] in STORES_THE_SAME
        for name, value in before.items():
            np.testing.assert_array_equal(value, after[name], err_msg=name)
    else:
        assert not np.array_equal(before[flip.differs], after[flip.differs])
