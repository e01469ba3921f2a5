import pytest
from pydantic import ValidationError

from rlplug.envs.config import EnvConfig, WrapperConfig


def test_wrapper_may_be_its_import_string_alone():
    config = EnvConfig.model_validate(
        {"wrappers": ["a.b:C", {"entry": "a:D", "kwargs": {"size": 2}}]}
    )
    assert config.wrappers == (
        WrapperConfig(entry="a.b:C"),
        WrapperConfig(entry="a:D", kwargs={"size": 2}),
    )


def test_config_survives_json():
    config = EnvConfig(kwargs={"g": 9.8}, wrappers=("a:B",), max_episode_steps="2e2", check=False)
    assert config.max_episode_steps == 200
    assert EnvConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "values",
    [
        {"wrappers": ["no_colon"]},
        {"wrappers": [3]},
        {"max_episode_steps": 0},
        {"vectorize": "threads"},
        {"kwarg": {}},
    ],
)
def test_bad_values_are_refused(values):
    with pytest.raises(ValidationError):
        EnvConfig.model_validate(values)


def test_every_field_is_described():
    for model in (EnvConfig, WrapperConfig):
        assert all(field.description for field in model.model_fields.values())
