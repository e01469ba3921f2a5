import errno
import io
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rlplug.config import TrackingConfig
from rlplug.tracking import Console, summary


def plain(path, clock, stream=None, **settings):
    stream = io.StringIO() if stream is None else stream
    config = TrackingConfig(console="plain")
    return Console(config, path, 50_000, "dqn on cartpole", stream=stream, clock=clock, **settings)


def test_plain_output_is_one_line_per_report_and_the_log_is_the_same(
    tmp_path, clock, metrics, report
):
    stream = io.StringIO()
    with plain(tmp_path / "console.log", clock, stream) as console:
        console.message("8 environments in this process")
        console.write(500, {"loss": float("nan")})
        console.evaluation(10_000, report)
        console.write(12_000, metrics)

    expected = [
        "dqn on cartpole",
        "8 environments in this process",
        "     500/50,000   1%",
        "evaluation at 10,000: 120.4 ± 8.1 over 10 episodes",
        "  12,000/50,000  24%  3,412 steps/s  left 0:11  return 87.3 (last 20)"
        "  evaluation 120.4 ± 8.1  loss 0.0312",
    ]
    assert stream.getvalue().splitlines() == expected
    assert (tmp_path / "console.log").read_text().splitlines() == expected


def test_episodes_and_steps_alone_print_nothing_in_plain_mode(tmp_path, clock, episode):
    stream = io.StringIO()
    with plain(None, clock, stream) as console:
        console.episode(episode(env_steps=100))
        console.advance(200)

    assert stream.getvalue() == "dqn on cartpole\n"
    assert console.progress.env_steps == 200


def test_off_prints_nothing_and_logs_all_the_same(tmp_path, clock, metrics):
    stream = io.StringIO()
    config = TrackingConfig(console="off")
    log = tmp_path / "console.log"
    with Console(config, log, 50_000, "title", stream=stream, clock=clock) as console:
        console.write(12_000, metrics)
        console.message("saved")

    assert stream.getvalue() == ""
    assert len(log.read_text().splitlines()) == 3


def test_a_resumed_run_appends_to_its_log(tmp_path, clock):
    log = tmp_path / "console.log"
    plain(log, clock).close()
    plain(log, clock, start_env_steps=100).close()

    assert log.read_text() == "dqn on cartpole\n" * 2


def test_control_characters_in_messages_reach_neither_terminal_nor_log(tmp_path, clock):
    stream = io.StringIO()
    with plain(tmp_path / "log", clock, stream) as console:
        console.message("red \x1b[31m bell \x07 tab\there\r\nnext\x9b2J")

    shown = "dqn on cartpole\nred \\x1b[31m bell \\x07 tab    here\\r\nnext\\x9b2J\n"
    assert stream.getvalue() == shown
    assert (tmp_path / "log").read_text() == shown


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class AsciiTerminal(Terminal):
    encoding = "ascii"


@pytest.mark.parametrize(
    ("stream", "term", "mode"),
    [
        (Terminal(), "xterm", "rich"),
        (Terminal(), "dumb", "plain"),
        (AsciiTerminal(), "xterm", "plain"),
        (io.StringIO(), "xterm", "plain"),
    ],
)
def test_auto_is_live_on_a_terminal_that_can_show_it(monkeypatch, clock, stream, term, mode):
    monkeypatch.setenv("TERM", term)
    console = Console(TrackingConfig(), None, 100, "t", stream=stream, clock=clock)
    assert console.mode == mode
    console.close()


def test_a_terminal_without_our_characters_gets_others_and_the_log_gets_ours(
    tmp_path, clock, report
):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with plain(tmp_path / "log", clock, stream) as console:
        console.evaluation(100, report)
        assert b"120.4 ? 8.1" in raw.getvalue()
    assert "120.4 ± 8.1" in (tmp_path / "log").read_text()


class GoneTerminal(io.StringIO):
    encoding = "utf-8"

    def write(self, _text):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("mode", ["plain", "rich"])
def test_a_terminal_that_went_away_stops_the_printing_and_not_the_run(
    tmp_path, clock, metrics, mode
):
    config = TrackingConfig(console=mode)
    log = tmp_path / "log"
    output = sys.stdout
    with Console(config, log, 50_000, "title", stream=GoneTerminal(), clock=clock) as console:
        for env_steps in (100, 200):
            clock.now += 1.0
            console.write(env_steps, metrics)
        console.message("still logged")
        assert console.mode == "off"

    assert sys.stdout is output
    assert log.read_text().splitlines()[-1] == "still logged"
    assert len(log.read_text().splitlines()) == 4


def test_a_full_disk_under_the_log_is_told_once_and_the_run_goes_on(tmp_path, clock):
    stream = io.StringIO()
    console = plain(tmp_path / "log", clock, stream)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        console.message("a line that is too long for this disk")
        console.message("another")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    console.close()

    assert stream.getvalue().splitlines() == [
        "dqn on cartpole",
        "console.log is no longer written: File too large.",
        "a line that is too long for this disk",
        "another",
    ]


def test_a_log_that_cannot_be_opened_is_told(tmp_path, clock):
    stream = io.StringIO()
    plain(tmp_path / "absent" / "log", clock, stream).close()

    assert stream.getvalue().startswith("console.log is no longer written: No such file")


def test_live_output_prints_messages_above_and_logs_plain_lines(tmp_path, clock, metrics, report):
    stream = Terminal()
    config = TrackingConfig(console="rich")
    log = tmp_path / "log"
    output = sys.stdout
    with Console(config, log, 50_000, "dqn on cartpole", stream=stream, clock=clock) as console:
        console.message("8 environments [bold]in[/bold] this process")
        console.write(12_000, metrics)
        assert sys.stdout is not output  # what an environment prints goes above the display
        console.evaluation(12_000, report)
        console.summary("done")
        assert sys.stdout is output

    shown = stream.getvalue()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # cursor hidden, then shown
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)
    assert "8 environments [bold]in[/bold] this process" in text
    assert text.index("evaluation at 12,000") < text.rindex("12,000/50,000") < text.index("done")
    assert log.read_text().splitlines() == [
        "dqn on cartpole",
        "8 environments [bold]in[/bold] this process",
        "  12,000/50,000  24%  3,412 steps/s  left 0:11  return 87.3 (last 20)  loss 0.0312",
        "evaluation at 12,000: 120.4 ± 8.1 over 10 episodes",
        "done",
    ]


ENDINGS = {
    "exception": "raise RuntimeError('the environment broke')",
    "interrupt": "print('ready', flush=True); signal.pause()",
    "exit": "sys.exit(5)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_terminal_is_restored_however_the_run_ends(ending):
    program = textwrap.dedent(f"""
        import signal, sys
        from rlplug.config import TrackingConfig
        from rlplug.tracking import Console
        with Console(TrackingConfig(), None, 100, "title") as console:
            console.write(10, {{"loss": 1.0}})
            assert console.mode == "rich"
            {ENDINGS[ending]}
    """)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], 30)[0]:
        try:
            shown += os.read(leader, 65536)
        except OSError:  # how Linux reports that the other side is closed
            break
        if ending == "interrupt" and b"ready" in shown and process.poll() is None:
            process.send_signal(signal.SIGINT)
            ending = "interrupted"
    os.close(leader)
    assert process.wait() != 0

    assert b"\x1b[?25l" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    if ending == "exception":
        assert shown.index(b"the environment broke") > shown.rindex(b"\x1b[?25h")


def test_the_summary_names_folder_evaluation_and_next_commands(tmp_path, monkeypatch, report):
    monkeypatch.chdir(tmp_path)
    text = summary(
        tmp_path / "runs" / "cartpole" / "dqn" / "20260102-030405-0",
        env_steps=50_000,
        seconds=17.2,
        evaluation=report,
        problems=["Tracker 'cloud' was switched off (ValueError: no key)."],
    )
    path = "runs/cartpole/dqn/20260102-030405-0"
    assert text.splitlines() == [
        "",
        "finished     50,000 environment steps in 0:17 (2,907 steps/s)",
        "evaluation   120.4 ± 8.1 over 10 episodes",
        f"run folder   {path}",
        "problem      Tracker 'cloud' was switched off (ValueError: no key).",
        f"next         rlplug eval {path}",
        f"             rlplug eval {path} --video out.mp4",
        f"             rlplug train --resume {path} --steps 100000",
    ]


def test_the_summary_says_what_stopped_the_run_early():
    text = summary(Path("x"), env_steps=9, seconds=1, evaluation=None, stopped_by="it is solved")

    assert text.splitlines()[2] == "stopped by   it is solved"


def test_a_note_is_written_to_the_log_alone(tmp_path, capsys):
    log = tmp_path / "console.log"
    with Console(TrackingConfig(console="plain"), log, 100, "title") as console:
        console.note("It broke.\x1b[31m")

    assert log.read_text() == "title\nIt broke.\\x1b[31m\n"
    assert capsys.readouterr().out == "title\n"


def test_commands_of_the_summary_can_be_pasted_into_a_shell():
    text = summary(Path("/runs of mine/it's"), env_steps=1, seconds=0, evaluation=None)

    assert """rlplug eval '/runs of mine/it'"'"'s'\n""" in text
    assert "evaluation" not in text
    assert "steps/s" not in text


def test_plain_output_needs_no_rich():
    program = textwrap.dedent("""
        import sys
        from rlplug.config import TrackingConfig
        from rlplug.tracking import Console
        with Console(TrackingConfig(console="plain"), None, 100, "title") as console:
            console.write(10, {"loss": 1.0})
        assert not {"rich", "torch", "numpy.random", "tensorboard"} & set(sys.modules)
    """)
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
