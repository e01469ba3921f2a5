"""Encoders that packages register (`rlplug.networks`): their settings, and how one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rlplug.config import Config
from rlplug.errors import ConfigError, PluginError, UnknownNameError
from rlplug.registry import discovery
from rlplug.settings.layers import Layer, merge
from rlplug.settings.words import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rlplug.specs import NetworkSpec


def network_config(
    name: str, settings: Mapping[str, Any], *, other_names: Iterable[str] = ()
) -> Config:
    """The settings of a registered network, validated.

    Args:
        name: As registered, or `distribution:name`.
        settings: Nested values over its defaults.
        other_names: What may have been meant beside the registered names.

    Raises:
        UnknownNameError: with the nearest names.
        ConfigError: naming the setting that does not fit.
        PluginError: when its plugin cannot be used.
    """
    if discovery.find("networks", name) is None:
        known = [*other_names, *discovery.names("networks")]
        raise UnknownNameError(discovery.unknown_name_message("networks", name, known))
    model = discovery.import_string(_spec(name).config)
    if not (isinstance(model, type) and issubclass(model, Config)):
        msg = f"The network '{name}' names {model!r} as its config; expected a Config subclass."
        raise PluginError(msg)
    title = f"encoder '{name}': "
    try:
        return model.model_validate(merge(model, [Layer("file", settings, title)]).values)
    except ValidationError as error:
        faults = explain(error, model, settings)
        raise ConfigError("\n".join(title + said for _, said in faults)) from error


def build_network(name: str, settings: Mapping[str, Any], observation_space: Any) -> Any:
    """Build a registered network for an observation space; raises as `network_config`."""
    config = network_config(name, settings)
    return discovery.import_string(_spec(name).build)(config, observation_space)


def _spec(name: str) -> NetworkSpec:
    spec: NetworkSpec = discovery.resolve("networks", name)
    return spec
