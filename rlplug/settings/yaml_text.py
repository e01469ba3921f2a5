"""YAML as people mean it: 1e6 is a number, `off` is a word, no key twice, errors with their line.

PyYAML reads YAML 1.1, where `1e6` is text and `off` is False. The tables here are the core schema
of YAML 1.2, for reading and for writing, so that what was written is read back as it was.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

from rlplug.errors import ConfigError

_TAGS = {
    "null": (re.compile(r"(?:null|Null|NULL|~|)$"), ["n", "N", "~", ""]),
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    "int": (re.compile(r"(?:[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    "float": (
        re.compile(
            r"(?:[-+]?(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+0123456789."),
    ),
}


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Implicit types by first character, in PyYAML's form; the first match wins."""
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, (pattern, first_characters) in _TAGS.items():
        for character in first_characters:
            table.setdefault(character, []).append((f"tag:yaml.org,2002:{tag}", pattern))
    return table


class _Loader(yaml.SafeLoader):
    """Reads the core schema."""

    yaml_implicit_resolvers = _resolvers()

    def whole_number(self, node: yaml.ScalarNode) -> int:
        """A leading zero is no octal here."""
        return int(node.value, 16 if node.value.startswith("0x") else 10)


class _Dumper(yaml.SafeDumper):
    """Writes the core schema: mappings as blocks, lists on one line."""

    yaml_implicit_resolvers = _resolvers()

    def inline_list(self, values: list[Any]) -> yaml.Node:
        """`[256, 256]`."""
        return self.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Repeat equal values instead of pointing at the first."""
        return True


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
_Dumper.add_representer(list, _Dumper.inline_list)


class Document(NamedTuple):
    """A mapping and the lines that it came from."""

    values: dict[str, Any]
    lines: dict[str, int]
    """Line, from 1, of each key by its dotted name."""


def read_document(text: str, source: str) -> Document:
    """Parse a mapping whose keys may nest.

    Raises:
        ConfigError: naming `source` and the line, if it is not YAML, not a mapping, or has a key
            twice.
    """
    builder = _Builder(text, source)
    values = builder.build()
    if values is None:
        values = {}
    if not isinstance(values, dict):
        msg = (
            f"{source}, line 1: expected settings by section (agent:, replay:, train:, ...), "
            f"found {values!r:.60}."
        )
        raise ConfigError(msg)
    return Document(values, builder.lines)


def read_value(text: str) -> Any:
    """One value: `1e-3`, `[256, 256]`, `{kind: quantile}`; the text itself where it is none.

    Raises:
        ConfigError: if a bracket or quote that it opens is never closed, or a key comes twice.
    """
    return _Builder(text, "").build()


def write(values: Any) -> str:
    """YAML that `read_document` reads back to the same values, keys in their order."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=100)


_COLLECTIONS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class _Builder:
    """Builds plain values from YAML's nodes, noting the line of every key."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.lines: dict[str, int] = {}

    def build(self) -> Any:
        """The whole text as one value."""
        try:
            self.loader = _Loader(self.text)
            node = self.loader.get_single_node()
            return None if node is None else self._value(node, "", ())
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else self.text.count("\n", 0, _position(error)) + 1
            raise self._error(line, f"not YAML: {_problem(error)}") from error
        except RecursionError:
            raise self._error(1, "nested too deeply") from None
        except ValueError as error:
            raise self._error(1, f"not YAML: {error}") from error

    def _value(self, node: yaml.Node, name: str, outer: tuple[yaml.Node, ...]) -> Any:
        line = node.start_mark.line + 1
        if node in outer:
            raise self._error(line, "an alias must not contain itself")
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
            raise self._error(line, f"the tag {node.tag} is not plain data")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, name, (*outer, node))
        if isinstance(node, yaml.SequenceNode):
            inside = (*outer, node)
            return [self._value(item, f"{name}.{i}", inside) for i, item in enumerate(node.value)]
        return self.loader.construct_object(node)

    def _mapping(
        self, node: yaml.MappingNode, name: str, outer: tuple[yaml.Node, ...]
    ) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(line, "a key must be a word")
            key = self.loader.construct_object(key_node)
            dotted = f"{name}.{key}" if name else str(key)
            if key in values:
                before = self.lines[dotted]
                raise self._error(line, f"'{dotted}' is given twice (first on line {before})")
            self.lines[dotted] = line
            values[key] = self._value(value_node, dotted, outer)
        return values

    def _error(self, line: int, problem: str) -> ConfigError:
        return ConfigError(f"{self.source}, line {line}: {problem}." if self.source else problem)


def _problem(error: yaml.YAMLError) -> str:
    """PyYAML's own words, on one line and without its marks."""
    words = getattr(error, "problem", None) or getattr(error, "reason", None) or "not readable"
    return " ".join(str(words).split())


def _position(error: yaml.YAMLError) -> int:
    """Where a character stands that YAML does not allow."""
    position = getattr(error, "position", 0)
    return position if isinstance(position, int) else 0
