"""Looks into config models: which fields there are, what each expects, how text becomes a value."""

from __future__ import annotations

import types
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from rlplug.config import Config
from rlplug.settings.yaml_text import read_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class _Required:
    """Prints as what it is."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()
"""Stands for the default of a setting that has none."""


class Text(str):
    """A command-line value, still to be read by the type of its field."""

    __slots__ = ()


class Shape:
    """What one field takes."""

    def __init__(self, field: FieldInfo) -> None:
        self._parts = tuple(_parts(field.annotation, field.metadata))
        self.expected = _words(field.annotation, field.metadata)
        """In words."""
        self.configs: dict[str | None, type[Config]] = {}
        """Config classes it takes, by `kind`; None for one that has no kinds."""
        for annotation, _ in self._parts:
            if _is_config(annotation):
                self.configs.update(dict.fromkeys(_kinds(annotation), annotation))
        origins = {get_origin(annotation) or annotation for annotation, _ in self._parts}
        self.is_section = len(self._parts) == 1 and set(self.configs) == {None}
        """Whether it takes the settings of one config and nothing else."""
        self.allows_none = bool(origins & {types.NoneType, Any})
        self.is_mapping = dict in origins
        self.choices = tuple(self._choices())
        self._is_list = bool(origins & {tuple, list})
        self._is_text = origins <= {str, types.NoneType}
        self._before = [m.func for m in reversed(field.metadata) if isinstance(m, BeforeValidator)]

    def _choices(self) -> Iterator[str]:
        """Words that can be completed."""
        yield from (kind for kind in self.configs if kind)
        for annotation, _ in self._parts:
            if get_origin(annotation) is Literal:
                yield from (str(choice) for choice in get_args(annotation))
            elif annotation is bool:
                yield from ("true", "false")
            elif annotation is types.NoneType:
                yield "none"

    def read(self, text: str) -> Any:
        """Turn command-line text into a value of this field's type.

        Raises:
            ConfigError: if it opens a bracket or quote that it never closes.
        """
        stripped = text.strip()
        if self.allows_none and stripped.lower() in {"none", "null", "~"}:
            return None
        if self._is_text or stripped in self.choices:
            return stripped
        if self._is_list and not stripped.startswith("["):
            stripped = f"[{stripped}]"
        return read_value(stripped)

    def normalise(self, value: Any) -> Any:
        """Write a slot in full: its kind's short name, or a bare number, becomes a mapping."""
        if not self.configs:
            return value
        value = self._in_full(value)
        if isinstance(value, dict) and isinstance(value.get("kind"), str):
            chosen = self._in_full(value["kind"])
            return {**value, **chosen} if isinstance(chosen, dict) else value
        return value

    def _in_full(self, value: Any) -> Any:
        for validator in self._before:
            value = _apply(validator, value)
        return {"kind": value} if isinstance(value, str) and None not in self.configs else value


@cache
def anything() -> Shape:
    """The shape of an entry in a mapping with free keys."""
    return Shape(FieldInfo(annotation=Any))


def _apply(validator: Any, value: Any) -> Any:
    """Run a validator that takes the value alone; pydantic reports what it refuses."""
    try:
        return validator(value)
    except (TypeError, ValueError, AssertionError):
        return value


@cache
def shapes(model: type[Config]) -> dict[str, Shape]:
    """The shape of every field of `model`, by name."""
    return {name: Shape(field) for name, field in model.model_fields.items()}


def defaults(model: type[Config]) -> dict[str, Any]:
    """The default settings of `model` as nested dicts; what has none is left out."""
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        shape = shapes(model)[name]
        if not field.is_required():
            value = field.get_default(call_default_factory=True, validated_data={})
            value = value.model_dump() if isinstance(value, Config) else value
            values[name] = shape.normalise(value)
        elif set(shape.configs) == {None}:
            values[name] = defaults(shape.configs[None])
    return values


class Setting(NamedTuple):
    """One dotted setting, as help and completion show it."""

    name: str
    shape: Shape
    default: Any
    description: str
    kind: str | None
    """The kind of slot that it belongs to; None where it is always there."""


def settings(
    model: type[Config], prefix: str = "", kind: str | None = None, values: Any = None
) -> Iterator[Setting]:
    """Every setting below `model`, in order; a slot first, then the fields of each of its kinds.

    Args:
        model: A section, or a whole run.
        prefix: Dotted name of `model`, with its final dot.
        kind: The kind that `model` is, where it fills a slot.
        values: Nested values to show as defaults in place of the model's own.
    """
    shown = defaults(model) | (values or {})
    for name, field in model.model_fields.items():
        if name == "kind":
            continue
        shape, default = shapes(model)[name], shown.get(name, REQUIRED)
        description = " ".join((field.description or "").split())
        nested = default if isinstance(default, dict) else {}
        if set(shape.configs) != {None}:
            summary = nested.get("kind", default) if shape.configs else default
            yield Setting(f"{prefix}{name}", shape, summary, description, kind)
        for tag, member in _distinct(shape.configs).items():
            inside = nested if nested.get("kind") == tag else None
            yield from settings(member, f"{prefix}{name}.", tag or kind, inside)


def _distinct(configs: Mapping[str | None, type[Config]]) -> dict[str | None, type[Config]]:
    """One entry for each class, under its first kind."""
    first = {member: tag for tag, member in reversed(list(configs.items()))}
    return {tag: member for member, tag in reversed(list(first.items()))}


def _kinds(model: type[Config]) -> tuple[str | None, ...]:
    field = model.model_fields.get("kind")
    return (field and get_args(field.annotation)) or (None,)


def _is_config(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Config)


def _parts(annotation: Any, metadata: Sequence[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """The alternatives of a union, each with the constraints that bear on it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        bounds = [b for m in more for b in (m.metadata if isinstance(m, FieldInfo) else [m])]
        yield from _parts(inner, [*metadata, *bounds])
    elif origin in {Union, types.UnionType}:
        for part in get_args(annotation):
            yield from _parts(part, metadata)
    else:
        yield annotation, list(metadata)


_NAMES: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "words"),
    types.NoneType: ("none", "none"),
}


def _words(annotation: Any, metadata: Sequence[Any] = (), *, many: bool = False) -> str:
    """What a field takes, in words: `a whole number above 0 or none`."""
    options = [
        option
        for part, bounds in _parts(annotation, metadata)
        for option in _options(part, bounds, many=many)
    ]
    *most, last = dict.fromkeys(options)
    return f"{', '.join(most)} or {last}" if most else last


def _options(annotation: Any, metadata: Sequence[Any], *, many: bool) -> list[str]:
    """What one part of a union takes; each kind of a slot and each literal by itself."""
    origin = get_origin(annotation) or annotation
    words = ["a value"]
    if _is_config(annotation):
        words = [kind for kind in _kinds(annotation) if kind] or [("a mapping", "mappings")[many]]
    elif origin is bool:
        words = ["true", "false"]
    elif origin is Literal:
        words = [str(choice) for choice in get_args(annotation)]
    elif origin is dict:
        words = [("a mapping ({name: value})", "mappings")[many]]
    elif origin in {tuple, list}:
        items = _items(get_args(annotation)) + _length(metadata)
        words = [f"{('a list', 'lists')[many]} {items}"]
    elif origin in _NAMES:
        words = [_NAMES[origin][many] + _bounds(metadata)]
    return words


def _items(arguments: tuple[Any, ...]) -> str:
    """What is in a list: any number of one thing, or one each of several."""
    if not arguments:
        return "of values"
    if len(arguments) == 1 or arguments[1:] == (Ellipsis,):
        return f"of {_words(arguments[0], many=True)}"
    return f"[{', '.join(map(_words, arguments))}]"


def _bounds(metadata: Sequence[Any]) -> str:
    bound = {
        name: getattr(item, name)
        for item in metadata
        for name in ("gt", "ge", "lt", "le")
        if getattr(item, name, None) is not None
    }
    if bound.keys() == {"ge", "le"}:
        return f" from {bound['ge']} to {bound['le']}"
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    parts = [f"{words[name]} {limit}" for name, limit in bound.items()]
    return " " + " and ".join(parts) if parts else ""


def _length(metadata: Sequence[Any]) -> str:
    least = [item.min_length for item in metadata if getattr(item, "min_length", None)]
    return f" (at least {least[0]})" if least else ""
