from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from rlplug.errors import ConfigError, PluginError, UnknownNameError
from rlplug.nn.config import EncoderConfig, MinAtarCnn, RegisteredEncoder
from rlplug.nn.encoders import build_encoder
from rlplug.nn.minatar import MinAtarEncoder

IMAGE = gymnasium.spaces.Box(0, 255, (10, 10, 4), np.uint8)


def chosen(value: object) -> object:
    return TypeAdapter(EncoderConfig).validate_python(value)


def test_it_is_one_convolution_and_one_layer() -> None:
    encoder = MinAtarEncoder(MinAtarCnn(), IMAGE)
    count = sum(parameter.numel() for parameter in encoder.parameters())
    assert count == (3 * 3 * 4 * 16 + 16) + (8 * 8 * 16 * 128 + 128)
    features = encoder(torch.zeros(5, 10, 10, 4, dtype=torch.uint8))
    assert features.shape == (5, encoder.num_features)
    assert (features >= 0).all()


def test_a_name_that_is_no_kind_chooses_a_registered_encoder() -> None:
    expected = RegisteredEncoder(name="minatar-cnn", settings={"channels": 2})
    assert chosen({"kind": "minatar-cnn", "settings": {"channels": 2}}) == expected
    assert chosen("minatar-cnn") == RegisteredEncoder(name="minatar-cnn")
    encoder = build_encoder(expected, IMAGE)
    assert isinstance(encoder, MinAtarEncoder)
    assert next(encoder.parameters()).shape[0] == 2


def test_kinds_are_still_kinds_and_unknown_names_get_the_nearest_of_both() -> None:
    assert chosen("mlp") == chosen({"kind": "mlp"})
    with pytest.raises(UnknownNameError, match="Did you mean 'minatar-cnn'"):
        chosen("minatar-cn")
    with pytest.raises(UnknownNameError, match="Did you mean 'nature-cnn'"):
        chosen("nature-cn")


@pytest.mark.parametrize("shape", [(4,), (2, 10, 1)])
def test_what_is_no_image_or_too_small_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="minatar-cnn"):
        MinAtarEncoder(MinAtarCnn(), gymnasium.spaces.Box(0, 1, shape))


def test_a_registered_thing_that_is_no_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlplug.nn.encoders.build_network", lambda *_: torch.nn.Linear(1, 1))
    with pytest.raises(PluginError, match="'minatar-cnn' is built as a Linear; expected"):
        build_encoder(RegisteredEncoder(name="minatar-cnn"), IMAGE)
