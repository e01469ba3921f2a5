import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from rlplug.envs import spec as specs
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.config import EnvConfig
from rlplug.envs.make import make_vector

BUILT_IN = [
    specs.CARTPOLE,
    specs.CONTINUOUS_CARTPOLE,
    specs.PENDULUM,
    specs.MOUNTAIN_CAR,
    specs.MOUNTAIN_CAR_CONTINUOUS,
    specs.ACROBOT,
]


@pytest.mark.parametrize("spec", BUILT_IN, ids=lambda spec: spec.name)
def test_built_in_environment_plays_soundly_and_within_bounds(spec, caplog):
    adapter = StepAdapter(make_vector(spec, EnvConfig(), 3), name=spec.name)
    adapter.action_space.seed(1)
    adapter.reset(1)
    ended = 0
    for _ in range(400):
        action = np.stack([adapter.action_space.sample() for _ in range(3)])
        ended += len(adapter.step(action).final_envs)
    assert not caplog.messages
    assert ended or spec.name in {"acrobot", "mountain-car-continuous"}


@pytest.mark.parametrize("spec", BUILT_IN, ids=lambda spec: spec.name)
def test_gymnasium_id_and_joined_spelling_are_aliases(spec):
    joined = spec.name.replace("-", "")
    assert joined in (spec.name, *spec.aliases)
    if spec.gymnasium_id is not None:
        assert spec.gymnasium_id in spec.aliases
        assert spec.gymnasium_id in gymnasium.registry


def test_names_and_aliases_are_unique():
    names = [name for spec in BUILT_IN for name in (spec.name, *spec.aliases)]
    assert len(names) == len(set(names))


def test_specs_and_config_import_neither_gymnasium_nor_torch():
    code = (
        "import rlplug.envs.spec, rlplug.envs.config, sys;"
        "print([name for name in ('gymnasium', 'torch', 'ray') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
