"""The `rlplug` command: finds what a word means, and says in one paragraph what went wrong.

A command's file is imported when that command runs, and only then; help and completion know the
others by the table below and by the metadata of installed packages.
"""

import contextlib
import difflib
import errno
import functools
import importlib
import logging
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

import rlplug
from rlplug.errors import InterruptedRunError, RlplugError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ClickError = typer.BadParameter.__mro__[2]  # Click's own, which newer versions of Typer bundle


class _Command(NamedTuple):
    module: str
    """Has `command`, a function with Typer's annotations, or `app`, a Typer."""
    summary: str


COMMANDS = {
    "train": _Command("rlplug.cli.train", "Train an agent in an environment."),
    "eval": _Command("rlplug.cli.evaluate", "Play whole episodes with a trained policy."),
    "show": _Command("rlplug.cli.show", "Show every setting of a run, and which layer set it."),
    "runs": _Command("rlplug.cli.runs", "List the runs in a folder: state, steps, best score."),
    "inspect": _Command("rlplug.cli.inspect", "Show what a run or a checkpoint holds."),
    "list": _Command("rlplug.cli.list", "List algorithms and environments."),
    "info": _Command("rlplug.cli.info", "Describe an algorithm or an environment."),
}


def run(arguments: "Sequence[str] | None" = None) -> int:
    """Run the command line and return the exit code; every error ends as one paragraph."""
    options = {"debug": False, "locked": False}
    try:
        with warnings.catch_warnings(), _logged_warnings():
            warnings.showwarning = _show_warning
            group = typer.main.get_command(_app)
            code = group.main(
                args=list(sys.argv[1:] if arguments is None else arguments),
                prog_name="rlplug",
                standalone_mode=False,
                obj=options,
            )
            sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:  # noqa: BLE001  the last resort: nothing may end in a traceback
        if options["debug"]:
            traceback.print_exc()
        return _report(error)
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    """Print what went wrong and return the exit code for it."""
    code = 1
    if isinstance(error, RlplugError):
        message, code = str(error), error.exit_code
    elif isinstance(error, _ClickError):
        message, code = _usage(error), 2
    elif isinstance(error, OSError) and error.errno == errno.EPIPE:
        _forget_output()
        return 1
    elif isinstance(error, OSError) and error.strerror:
        message = f"{error.strerror}{f': {error.filename}' if error.filename else ''}."
    else:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        message = f"{what} (this is a bug in {_culprit(error)}; --debug shows the traceback)."
    message = " ".join([message, *getattr(error, "__notes__", ())])
    if message:
        opening = "" if isinstance(error, InterruptedRunError) else "Error: "
        print(f"{opening}{message}", file=sys.stderr)
    return code


def _usage(error: Any) -> str:
    """A usage error, and where to read how it is done; empty where help was printed instead."""
    message = error.format_message().strip()
    if not message or error.ctx is None:
        return str(message)
    stop = "" if message[-1] in ".?" else "."
    return f"{message}{stop} How to use it: {error.ctx.command_path} --help"


def _culprit(error: Exception) -> str:
    """The distribution in whose code an unexpected error arose."""
    from rlplug.registry.entries import OWN, distributions

    owner = {package: one.name for one in distributions().values() for package in one.packages}
    frames = traceback.walk_tb(error.__traceback__)
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in frames]
    packages = [module.partition(".")[0] for module in modules]
    return next((owner[name] for name in reversed(packages) if name in owner), OWN)


def _forget_output() -> None:
    """The reader has gone (`rlplug list | head -1`): let Python's own last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


@contextlib.contextmanager
def _logged_warnings() -> "Iterator[None]":
    """Show what rlplug logs as lines, without the traceback that Python would add."""
    logger, handler = logging.getLogger("rlplug"), _Lines(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        _show_warning(record.getMessage())


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"Warning: {message}", file=sys.stderr)


class _Commands(TyperGroup):
    """Commands in the table, and those of installed packages (`rlplug.commands`)."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Click's signature
        """Names, those in the table first."""
        return [*COMMANDS, *sorted(_registered().keys() - COMMANDS.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Click's signature
        """What help and completion show of a command, without importing it."""
        if cmd_name in COMMANDS:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name].summary)
        if entry := _registered().get(cmd_name):
            from rlplug.registry.index import module_summary

            return TyperCommand(cmd_name, help=module_summary(entry) or f"From {entry.provider}.")
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that the first argument names, the project's files known."""
        name, *rest = args
        if "--no-plugins" not in rest and os.environ.get("RLPLUG_PLUGINS") != "":
            from rlplug.registry.project import load_project

            load_project()
        command = _load(name, self.list_commands(ctx))
        _share(command, [option for option in self.params if option.name in _SHARED])
        return name, command, rest


def _load(name: str, known: list[str]) -> Any:
    """Build a command from its file or plugin.

    Raises:
        UnknownNameError: with the nearest command.
        PluginError: if it belongs to a plugin that does not load.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean '{near[0]}'?" if near else ""
        msg = f"Unknown command '{name}'.{meant} Commands: {', '.join(known)}."
        raise UnknownNameError(msg)
    if name in COMMANDS:
        module = importlib.import_module(COMMANDS[name].module)
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False)
            app.command(name, cls=getattr(module, "Command", None))(module.command)
    else:
        from rlplug.registry import discovery

        app = discovery.resolve("commands", name)
    command: Any = typer.main.get_command(app)
    command.name = name
    command.params = [option for option in command.params if option.name not in _ROOT_ONLY]
    return command


def _registered() -> dict[str, Any]:
    """Commands of installed packages by name, rlplug's own too, from their metadata."""
    from rlplug.registry.entries import entries

    return {entry.name: entry for entry in entries("commands")}


def _share(command: Any, options: list[Any]) -> None:
    """Let rlplug's own options stand after the command too; all are known when it begins."""
    taken = {name for option in command.params for name in option.opts}
    command.params += [option for option in options if not taken & set(option.opts)]
    for inner in getattr(command, "commands", {}).values():
        _share(inner, options)
    if not hasattr(command, "commands"):
        command.invoke = functools.partial(_invoke, command.invoke)


def _invoke(command: Any, ctx: Any) -> Any:
    """Begin a command, held to the lock where that was asked for."""
    if ctx.obj and ctx.obj["locked"]:
        from rlplug.registry import lock

        lock.require(lock.find())
    return command(ctx)


_ROOT_ONLY = ("install_completion", "show_completion")
_SHARED = ("debug", "plugin", "no_plugins", "locked")
_app = typer.Typer(
    name="rlplug",
    cls=_Commands,
    help="Train, evaluate and compare reinforcement-learning agents.",
    epilog="rlplug COMMAND --help tells more. First: rlplug train dqn cartpole",
)


def _print_version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        print(f"rlplug {rlplug.__version__}")
        raise typer.Exit


def _set_debug(ctx: typer.Context, value: bool) -> None:
    if value and ctx.obj:
        ctx.obj["debug"] = True


def _load_plugins(ctx: typer.Context, value: list[Path] | None) -> None:
    if value and not ctx.resilient_parsing:
        from rlplug.registry import discovery

        for file in value:
            discovery.load_file(file)


def _note_locked(ctx: typer.Context, value: bool) -> None:
    if value and ctx.obj:
        ctx.obj["locked"] = True


def _switch_plugins_off(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from rlplug.registry import discovery

        discovery.no_plugins()


def _shared(*names: str, callback: Any, help: str) -> Any:  # noqa: A002 - Typer's name
    return typer.Option(
        *names, callback=callback, help=help, is_eager=True, expose_value=False, show_default=False
    )


@_app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool, _shared("--version", callback=_print_version, help="Print the version and stop.")
    ] = False,
    debug: Annotated[
        bool, _shared("--debug", callback=_set_debug, help="Show the traceback of an error.")
    ] = False,
    plugin: Annotated[
        list[Path] | None,
        _shared("--plugin", callback=_load_plugins, help="Load this file as a plugin, too."),
    ] = None,
    no_plugins: Annotated[
        bool,
        _shared("--no-plugins", callback=_switch_plugins_off, help="Only what rlplug brings."),
    ] = False,
    locked: Annotated[
        bool,
        _shared("--locked", callback=_note_locked, help="Only with what rlplug-lock.json names."),
    ] = False,
) -> None:
    del version, debug, plugin, no_plugins, locked  # their callbacks have acted
    if ctx.invoked_subcommand is None:
        print(ctx.get_help(), end="")
