"""Any setting as an option: `--agent.batch_size 64`, `--agent.batch_size=64`.

Dotted options are taken out before Typer parses the rest, so that a mistyped plain option is still
an error, and the order of options does not matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from typer.core import TyperCommand

from rlplug.cli.completion import complete_setting, settings
from rlplug.cli.tables import show_table
from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import typer

    from rlplug.registry.index import Option
    from rlplug.resolve import Resolved, Shortcuts

_DOTTED = re.compile(r"--([A-Za-z_][\w-]*(?:\.[\w-]+)+)(?:=(.*))?", re.DOTALL)
_OVERRIDES = "rlplug.overrides"
_ARGUMENTS = "rlplug.arguments"
_WAITING = "rlplug.waiting"


class Split(NamedTuple):
    """A command line, its dotted options apart from the rest."""

    rest: list[str]
    overrides: list[tuple[str, str]]
    """(dotted name, text), in order."""
    without_value: str
    """A dotted option that nothing follows; empty if each has its value."""


def split(arguments: Sequence[str]) -> Split:
    """Take the dotted options out of a command line."""
    rest: list[str] = []
    overrides: list[tuple[str, str]] = []
    without_value = ""
    waiting = list(reversed(arguments))
    while waiting:
        argument = waiting.pop()
        dotted = _DOTTED.fullmatch(argument)
        if argument == "--":
            rest += [argument, *reversed(waiting)]
            break
        if dotted is None:
            rest.append(argument)
        elif dotted[2] is not None:
            overrides.append((dotted[1], dotted[2]))
        elif waiting and not waiting[-1].startswith("--"):
            overrides.append((dotted[1], waiting.pop()))
        else:
            without_value = without_value or dotted[1]
    return Split(rest, overrides, without_value)


class Command(TyperCommand):
    """A command that takes every setting of a run as a dotted option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the dotted options aside; Typer parses the others."""
        rest, overrides, without_value = split(args)
        if without_value and not ctx.resilient_parsing:
            msg = (
                f"--{without_value} has no value. Write --{without_value} VALUE or "
                f"--{without_value}=VALUE."
            )
            raise ConfigError(msg)
        ctx.meta[_OVERRIDES] = overrides
        ctx.meta[_ARGUMENTS] = rest = _help_last(rest)
        ctx.meta[_WAITING] = without_value
        return super().parse_args(ctx, list(rest))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Typer's help and, once an algorithm is named, the settings of its runs."""
        super().format_help(ctx, formatter)
        arguments = [one for one in ctx.meta.get(_ARGUMENTS, ()) if one != "--help"]
        named = self.make_context(ctx.info_name, arguments, ctx.parent, resilient_parsing=True)
        if algorithm := named.params.get("algorithm"):
            _print_settings(algorithm, settings(algorithm, named.params.get("environment")))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Options, dotted ones too, and the words that a dotted option takes."""
        plain = super().shell_complete(ctx, "-")
        item = type(plain[0])  # Click's class, wherever this version of Typer keeps it
        known = complete_setting(ctx.params.get("algorithm"), ctx.params.get("environment"))
        if waiting := ctx.meta.get(_WAITING):
            words = {word: "" for one in known if one.name == waiting for word in one.choices}
        else:
            words = {f"--{one.name}": one.description for one in known}
            words |= {one.value: one.help for one in plain}
        return [item(w, help=text) for w, text in words.items() if w.startswith(incomplete)]


@dataclass(frozen=True)
class Given:
    """What a command line names."""

    ctx: typer.Context
    algorithm: str | None
    environment: str | None
    preset: str
    config: Path | None

    def resolve(self, shortcuts: Shortcuts, *more: tuple[str, str]) -> Resolved:
        """The run it describes: `more` settings, and over them the dotted options."""
        from rlplug.resolve import resolve

        return resolve(
            self.algorithm,
            self.environment,
            preset=None if self.preset == "none" else self.preset,
            config=self.config,
            overrides=[*more, *self.overrides],
            **shortcuts,
        )

    @property
    def overrides(self) -> list[tuple[str, str]]:
        """The dotted options, in order."""
        return list(self.ctx.meta[_OVERRIDES])


def _help_last(arguments: list[str]) -> list[str]:
    """A plugin file has to be loaded before help shows what it brings."""
    asked = [one for one in arguments if one == "--help"]
    return [one for one in arguments if one != "--help"] + asked[:1]


def _print_settings(algorithm: str, options: Iterable[Option]) -> None:
    rows = [
        (
            f"--{one.name}",
            one.expected,
            _short(one.default),
            f"({one.kind}) {one.description}" if one.kind else one.description,
        )
        for one in options
    ]
    title = f"Settings of {algorithm} (--NAME VALUE or --NAME=VALUE)"
    show_table(("option", "takes", "default", "meaning"), rows, title)


def _short(value: Any) -> str:
    """A default as one would type it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return "none" if value is None else str(value)
