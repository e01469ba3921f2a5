from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import rlplug
from rlplug.cli import main
from rlplug.errors import ConfigError, DivergedError, InterruptedRunError, PluginError

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = "{'torch', 'gymnasium', 'ray', 'jax'} & set(sys.modules)"


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )


def test_help_names_every_command(cli: Any) -> None:
    outcome = cli("--help")
    assert outcome.code == 0
    for name, command in main.COMMANDS.items():
        assert name in outcome.out
        assert command.summary in outcome.out


def test_no_arguments_show_help(cli: Any) -> None:
    assert cli("") == cli("--help")._replace(out=cli("").out)
    assert "Usage" in cli("").out


def test_the_version_is_printed(cli: Any) -> None:
    assert cli("--version") == (0, f"rlplug {rlplug.__version__}\n", "")


def test_an_unknown_command_gets_the_nearest(cli: Any) -> None:
    outcome = cli("trian dqn cartpole")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: Unknown command 'trian'. Did you mean 'train'?")


def test_a_mistyped_plain_option_gets_the_nearest(cli: Any) -> None:
    outcome = cli("train dqn cartpole --stesp 10")
    assert outcome.code == 2
    assert "--stesp" in outcome.err
    assert "--steps" in outcome.err
    assert outcome.err.count("\n") == 1


def test_an_option_without_its_value_is_an_error(cli: Any) -> None:
    outcome = cli("train dqn cartpole --steps")
    assert outcome.code == 2
    assert "'--steps' requires an argument" in outcome.err


@pytest.mark.parametrize("line", ["--no-plugins list", "list --no-plugins", "plugins list --debug"])
def test_rlplugs_own_options_stand_before_or_after_the_command(
    cli: Any, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLPLUG_PLUGINS", "")  # undone afterwards, whatever --no-plugins sets
    assert cli(line).code == 0


@pytest.mark.parametrize("line", ["--plugin {} info my-task", "info my-task --plugin {}"])
def test_a_file_is_a_plugin_before_or_after_the_command(
    cli: Any, tmp_path: Path, line: str
) -> None:
    file = tmp_path / f"my_task_{line[0] == '-'}.py"
    file.write_text(
        "from rlplug.specs import EnvironmentSpec\n"
        "TASK = EnvironmentSpec(name='my-task', summary='Mine', gymnasium_id='CartPole-v1')\n"
    )
    from rlplug.registry import entries

    try:
        outcome = cli(line.format(file))
    finally:
        entries._files.clear()
    assert (outcome.code, outcome.err) == (0, "")
    assert "Mine" in outcome.out


def test_a_plugin_file_that_is_not_there_is_named(cli: Any) -> None:
    outcome = cli("list --plugin nope.py")
    assert outcome.code == 2
    assert "nope.py" in outcome.err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("what and why."), 2, "Error: what and why."),
        (PluginError("broken."), 3, "Error: broken."),
        (DivergedError("nan."), 5, "Error: nan."),
        (InterruptedRunError("saved.", exit_code=143), 143, "saved."),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "No space left on device: x."),
        (ValueError("ours\nand more"), 1, "ValueError: ours and more (this is a bug in rlplug"),
    ],
)
def test_every_error_ends_as_one_paragraph_with_its_exit_code(
    cli: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rlplug.registry.index.read", fail)
    outcome = cli("list")
    assert outcome.code == code
    assert words in outcome.err
    assert "Traceback" not in outcome.err


def test_debug_shows_the_traceback_as_well(cli: Any) -> None:
    outcome = cli("train dqnn cartpole --debug")
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.rstrip().splitlines()[-1].startswith("Error: ")


def test_an_interrupt_ends_quietly_with_130(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rlplug.registry.index.read", interrupt)
    assert cli("list") == (130, "", "")


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = f"{sys.executable} -m rlplug train dqn cartpole --help | head -1"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_warnings_are_one_line(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def warn(*_: object, **__: object) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("look out", stacklevel=1)
        return []

    monkeypatch.setattr("rlplug.registry.index.read", warn)
    assert cli("list").err == "Warning: look out\n"


def test_what_is_logged_as_a_warning_is_one_line_without_its_traceback(
    cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    def warn(*_: object, **__: object) -> list[str]:
        log = logging.getLogger("rlplug.registry.index")
        log.warning("plugin %s is odd", "x", exc_info=ValueError("why"))
        log.info("nobody asks")
        return []

    monkeypatch.setattr("rlplug.registry.index.read", warn)
    assert cli("list").err == "Warning: plugin x is odd\n"
    assert logging.getLogger("rlplug").handlers == []


def test_notes_of_an_error_follow_it(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ValueError("ours")
    error.add_note("Last checkpoint: x.")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rlplug.registry.index.read", fail)
    assert cli("list").err.endswith("--debug shows the traceback). Last checkpoint: x.\n")


@pytest.mark.parametrize("line", ["['--help']", "['list']", "['plugins', 'list']", "['--version']"])
def test_light_commands_import_nothing_heavy(line: str) -> None:
    code = f"import sys; from rlplug.cli.main import run; run({line})"
    assert python(f"{code}; print({HEAVY}, file=sys.stderr)").stderr == "set()\n"


def test_help_does_not_even_import_pydantic() -> None:
    code = "import sys; from rlplug.cli.main import run; run(['--help'])"
    done = python(f"{code}; print('pydantic' in sys.modules, file=sys.stderr)")
    assert done.stderr == "False\n"


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rlplug", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"rlplug {rlplug.__version__}\n"
