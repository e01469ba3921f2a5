"""Layers of settings, merged onto a config model; each value remembers the layer that set it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.config import Config
from rlplug.errors import ConfigError
from rlplug.settings.fields import Shape, Text, anything, defaults, shapes
from rlplug.settings.words import show, unknown_setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DEFAULT = "default"
"""The layer of values that nobody set."""


class Layer(NamedTuple):
    """Settings from one place."""

    name: str
    """Shown by `rlplug show`: `preset`, `command line`, ..."""
    values: Mapping[str, Any]
    """Nested by section."""
    title: str = ""
    """Opens an error about one of them; `{line}` is where it stands in the file."""
    lines: Mapping[str, int] = {}
    """Line of each dotted key, where it is a file."""

    def place(self, name: str) -> str:
        """The title, for an error about `name`."""
        while name and name not in self.lines:
            name = name.rpartition(".")[0]
        return self.title.replace("{line}", str(self.lines.get(name, 1)))


class Merged(NamedTuple):
    """All layers in one."""

    values: dict[str, Any]
    """Nested settings, complete but not yet validated."""
    set_by: dict[str, Layer]
    """The layer of each dotted setting that one of them set."""

    def layer_of(self, name: str) -> Layer | None:
        """The layer that set `name` or the mapping around it."""
        while name:
            if name in self.set_by:
                return self.set_by[name]
            name = name.rpartition(".")[0]
        return None

    def place(self, name: str) -> str:
        """Opens an error about `name`: where it was set, or the last setting inside it."""
        inside = [layer for key, layer in self.set_by.items() if key.startswith(f"{name}.")]
        layer = self.layer_of(name) or (inside[-1] if inside else None)
        return layer.place(name) if layer else ""


def nest(overrides: Iterable[tuple[str, Any]]) -> Iterator[dict[str, Any]]:
    """Turn `("agent.head.num_atoms", 21)` into nested mappings.

    Shallow names come first, and `kind` before its neighbours, so that a slot is chosen before its
    fields are set, in whatever order they were given; among equals, the later wins.
    """
    for name, value in sorted(overrides, key=lambda item: _rank(item[0])):
        nested = value
        for key in reversed(name.split(".")):
            nested = {key: nested}
        yield nested


def _rank(name: str) -> tuple[int, bool]:
    return name.count("."), name.rpartition(".")[2] != "kind"


def merge(model: type[Config], layers: Iterable[Layer]) -> Merged:
    """Put layers over the defaults of `model`, the later over the earlier.

    A mapping merges with what is below it. In a slot, another kind replaces it whole: what is not
    given comes from that kind's defaults. An empty mapping empties one that has free keys.

    Raises:
        ConfigError: a key that does not exist, or a kind that a slot does not have.
    """
    merged = Merged(defaults(model), {})
    for layer in layers:
        merged = _Merge(model, layer, merged.set_by).onto(merged.values)
    return merged


class _Merge:
    """Puts one layer over what is below it."""

    def __init__(self, model: type[Config], layer: Layer, set_by: dict[str, Layer]) -> None:
        self.root = model
        self.layer = layer
        self.set_by = dict(set_by)

    def onto(self, below: dict[str, Any]) -> Merged:
        return Merged(self.config(self.root, below, self.layer.values, ""), self.set_by)

    def config(
        self, model: type[Config], below: dict[str, Any], values: Mapping[str, Any], prefix: str
    ) -> dict[str, Any]:
        """Merge `values` into the settings `below` of one config."""
        merged = dict(below)
        for key, value in model.unbundled(values).items():
            name = f"{prefix}{key}"
            if key not in values and self.is_set_here(name):
                continue  # the command line gives settings one by one, in any order
            shape = shapes(model).get(key)
            if shape is None:
                problem = unknown_setting(self.root, name, below.get("kind"))
                raise ConfigError(self.layer.place(name) + problem)
            merged[key] = self.field(shape, merged.get(key), value, name)
        return merged

    def field(self, shape: Shape, below: Any, value: Any, name: str) -> Any:
        """Merge one value into what is below it."""
        value = shape.normalise(self.read(shape, value, name))
        if isinstance(value, dict) and shape.configs:
            return self.slot(shape, below, value, name)
        if isinstance(value, dict) and shape.is_mapping:
            return self.mapping(below, value, name)
        if shape.is_section and not isinstance(value, dict | Config):
            # a layer above would hide it, whose mapping takes its place
            problem = f"{name}: {show(value)} is not a mapping."
            raise ConfigError(self.layer.place(name) + problem)
        self.take(name)
        return value

    def slot(self, shape: Shape, below: Any, value: dict[str, Any], name: str) -> dict[str, Any]:
        """Merge into a section or a slot, whose kind decides the fields that it has."""
        below = below if isinstance(below, dict) else {}
        kind = None if None in shape.configs else value.get("kind", below.get("kind"))
        if kind is None and None not in shape.configs:
            kind = next(iter(shape.configs))
        if not isinstance(kind, str | None) or kind not in shape.configs:
            problem = f"{name}: {show(kind)} is not {shape.expected}."
            raise ConfigError(self.layer.place(f"{name}.kind") + problem)
        if not below or kind != below.get("kind"):
            below = defaults(shape.configs[kind])
            self.forget(name)
            value = {"kind": kind, **value} if kind else value
        return self.config(shape.configs[kind], below, value, f"{name}.")

    def mapping(self, below: Any, value: dict[Any, Any], name: str) -> dict[Any, Any]:
        """Merge into a mapping with free keys, such as keyword arguments."""
        if not value or not isinstance(below, dict):
            below = {}
            self.take(name)
        merged = dict(below)
        for key, item in value.items():
            inner = f"{name}.{key}"
            if isinstance(item, dict):
                merged[key] = self.mapping(below.get(key), item, inner)
            else:
                merged[key] = self.read(anything(), item, inner)
                self.take(inner)
        return merged

    def read(self, shape: Shape, value: Any, name: str) -> Any:
        """Read command-line text by the type of its field; leave all else."""
        if not isinstance(value, Text):
            return value
        try:
            return shape.read(value)
        except ConfigError as error:
            msg = f"{name}: {show(value)} is not {shape.expected} ({error})."
            raise ConfigError(msg) from error

    def is_set_here(self, name: str) -> bool:
        """Whether a setting was set in the same place that this layer is a part of."""
        return name in self.set_by and self.set_by[name].name == self.layer.name

    def take(self, name: str) -> None:
        """Note that this layer sets `name`, and nothing below it any more."""
        self.forget(name)
        self.set_by[name] = self.layer

    def forget(self, name: str) -> None:
        """Nothing set so far counts for `name` or what is inside it."""
        inside = f"{name}."
        for known in [k for k in self.set_by if k == name or k.startswith(inside)]:
            del self.set_by[known]
