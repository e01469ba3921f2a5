from __future__ import annotations

import math

import pytest
from torch import nn

from rlplug.nn.initializers import fan_in_uniform


def test_fan_in_uniform_fills_its_bounds():
    bound = 2.0 / math.sqrt(16)
    weights = fan_in_uniform(100, 100, inputs=16, gain=2.0)
    assert weights.shape == (100, 100)
    assert weights.abs().max() <= bound
    assert weights.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_torchs_default_layers_start_as_the_module_says():
    for layer, inputs in ((nn.Linear(64, 500), 64), (nn.Conv2d(4, 500, 4), 64)):
        for parameter in (layer.weight, layer.bias):
            assert parameter.abs().max() <= 1 / math.sqrt(inputs)
            assert parameter.abs().max() > 0.95 / math.sqrt(inputs)
