from __future__ import annotations

import pytest

from rlplug.errors import ConfigError, PluginError, UnknownNameError
from rlplug.registry.networks import build_network, network_config

FILES = {
    "nets.py": """
    from typing import Annotated
    from pydantic import Field
    from rlplug.config import Config
    from rlplug.specs import NetworkSpec

    class WideConfig(Config):
        width: Annotated[int, Field(gt=0)] = 8

    def build(config, space):
        return (config.width, space)

    def spec(name, config="nets:WideConfig"):
        return NetworkSpec(name=name, summary="Wide", config=config, build="nets:build")

    WIDE = spec("wide")
    ODD = spec("odd", "nets:build")
    """
}


@pytest.fixture(autouse=True)
def nets(fake_site):
    fake_site.install("rlplug-n", FILES, {"networks": {"wide": "nets:WIDE", "odd": "nets:ODD"}})


def test_settings_are_validated_over_the_defaults_of_its_config():
    assert network_config("wide", {}).width == 8
    assert network_config("rlplug-n:wide", {"width": 3}).width == 3


def test_it_is_built_with_its_config_and_the_whole_space():
    assert build_network("wide", {"width": 3}, "a space") == (3, "a space")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"widht": 3}, "encoder 'wide': There is no setting 'widht'. Did you mean 'width'"),
        ({"width": 0}, "encoder 'wide': width: 0 is not a whole number above 0"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, said):
    with pytest.raises(ConfigError) as caught:
        network_config("wide", settings)
    assert said in str(caught.value)


def test_unknown_name_gets_the_nearest_of_all_that_could_be_meant():
    with pytest.raises(UnknownNameError, match=r"network 'wild'\. Did you mean 'wide'"):
        network_config("wild", {})
    with pytest.raises(UnknownNameError, match="Did you mean 'mlp'"):
        network_config("mlpp", {}, other_names=["mlp"])


def test_config_that_is_none_is_refused():
    with pytest.raises(PluginError, match=r"no subclass of rlplug\.config\.Config"):
        network_config("odd", {})
