from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from rlplug.config import Config, Schedule
from rlplug.nn.config import EncoderConfig, MlpEncoder, OptimizerConfig
from rlplug.resolve import flatten, settings
from rlplug.testing.flips import cases, others


class Mine(Config):
    rate: float = 0.5
    count: int = 10
    is_fast: bool = False
    shape: Literal["round", "square", "flat"] = "round"
    sizes: tuple[int, ...] = (4, 4)
    limit: float | None = None
    encoder: EncoderConfig = MlpEncoder()
    optimizer: OptimizerConfig = OptimizerConfig()
    epsilon: Schedule = 0.3  # type: ignore[assignment]
    notes: dict[str, Any] = Field(default_factory=dict)


def found(*, has_images: bool = True) -> dict[str, Any]:
    config = Mine()
    current = dict(flatten(config.model_dump(), "agent."))
    listed = list(settings(Mine, "agent.", values=config.model_dump()))
    return {one.label: one for one in cases(listed, current, has_images=has_images)}


def test_every_setting_has_a_case_and_every_choice_its_own() -> None:
    labels = set(found())
    plain = {"rate", "count", "sizes", "limit", "notes"}
    choices = {"is_fast=true", "shape=square", "shape=flat"}
    slots = {"encoder=auto", "encoder=nature-cnn", "encoder=impala-resnet", "epsilon=linear"}
    inner = {
        "encoder.hidden_sizes",
        "encoder.channels",
        "epsilon.value",
        "epsilon.half_life_env_steps",
    }
    assert {f"agent.{name}" for name in plain | choices | slots | inner} <= labels
    assert "agent.shape=round" not in labels
    assert "agent.encoder=mlp" not in labels


def test_a_field_of_another_kind_is_changed_beside_that_kind() -> None:
    all_cases = found()
    channels = all_cases["agent.encoder.channels"]
    assert channels.on == {"agent.encoder": {"kind": "impala-resnet", "channels": [4, 8]}}
    assert channels.values[0] == [4, 8, 8]
    assert all_cases["agent.epsilon.start"].on["agent.epsilon"]["kind"] in {"linear", "exponential"}
    assert all_cases["agent.rate"].on == {}


def test_the_nature_cnn_is_compared_with_another_encoder_than_auto_which_it_is() -> None:
    case = found()["agent.encoder=nature-cnn"]
    assert case.on["agent.encoder"]["kind"] == "mlp"
    assert case.values == ({"kind": "nature-cnn"},)


def test_encoders_of_images_are_left_out_where_there_are_no_images() -> None:
    left_out = found().keys() - found(has_images=False).keys()
    assert left_out == {
        "agent.encoder=nature-cnn",
        "agent.encoder=impala-resnet",
        "agent.encoder.channels",
    }


def test_free_texts_and_mappings_of_our_own_are_known_and_others_are_not() -> None:
    all_cases = found()
    assert all_cases["agent.optimizer.name"].values == ("sgd", "adamw")
    assert all_cases["agent.optimizer.arguments"].values
    assert all_cases["agent.notes"].values == ()


def test_other_values_are_of_the_same_type_and_never_the_same() -> None:
    for value in (0, 3, 1.0, 0.0, True, (4, 4), ((0, 0.5), (9, 0.1)), None):
        tried = list(others(value))
        assert tried
        assert all(each != value or type(each) is not type(value) for each in tried)
    assert list(others("text")) == []
    assert list(others(((0, 0.5), (9, 0.1)))) == [[[0, 0.25], [9, 0.05]]]
