"""Any setting as an option: `--agent.batch_size 64`, `--agent.batch_size=64`.

Dotted options are taken out before Typer parses the rest, so that a mistyped plain option is still
an error, and the order of options does not matter.
"""

from __future__ import annotations

import re
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
    from rlplug.resolve import Resolved

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
        if ctx.resilient_parsing:  # a shell that completes may pass `=` as a word of its own
            args = [one for one in args if one != "="]
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


def texts(ctx: typer.Context, *, console: str | None = None) -> list[tuple[str, str]]:
    """(dotted name, text) of all that a command line sets: shortcuts, then the dotted options.

    Args:
        ctx: Of a command; of its options, those of a name in `SHORTCUTS` are shortcuts.
        console: How progress is shown, where the command has that option.
    """
    from rlplug.resolve import SHORTCUTS

    given = {SHORTCUTS[name]: ctx.params.get(name) for name in SHORTCUTS}
    given["tracking.console"] = console
    short = [(name, text) for name, text in given.items() if text is not None]
    return [*short, *ctx.meta[_OVERRIDES]]


def resolve(
    algorithm: str | None,
    environment: str | None,
    preset: str,
    config: Path | None,
    overrides: list[tuple[str, str]],
) -> Resolved:
    """The run that a command line describes."""
    from rlplug.resolve import resolve as resolve_run

    chosen = None if preset == "none" else preset
    return resolve_run(algorithm, environment, preset=chosen, config=config, overrides=overrides)


def _help_last(arguments: list[str]) -> list[str]:
    """A plugin file has to be loaded before help shows what it brings."""
    asked = [one for one in arguments if one == "--help"]
    return [one for one in arguments if one != "--help"] + asked[:1]


def _print_settings(algorithm: str, options: Iterable[Option]) -> None:
    rows = [
        (
            f"--{one.name}",
            one.expected,
            typed(one.default),
            f"({one.kind}) {one.description}" if one.kind else one.description,
        )
        for one in options
    ]
    title = f"Settings of {algorithm} (--NAME VALUE or --NAME=VALUE)"
    show_table(("option", "takes", "default", "meaning"), rows, title)


def typed(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(typed, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {typed(item)}" for key, item in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
