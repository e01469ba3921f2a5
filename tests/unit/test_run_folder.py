import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlplug.config import Config, RunConfig
from rlplug.errors import ConfigError, RunFolderError
from rlplug.run_folder import RunFolder, read_config
from rlplug.versions import installed_versions


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class AgentConfig(Config):
    learning_rate: float = 1e-06
    head: str = "off"
    sizes: tuple[int, ...] = (64, 64)


class EnvironmentConfig(Config):
    make: Any = None


def config(environment="cartpole", seed=3, make=None):
    return RunConfig(
        algorithm="dqn",
        environment=environment,
        seed=seed,
        agent=AgentConfig(),
        env=EnvironmentConfig(make=make),
        train=Config(),
    )


HERE = str(Path(__file__).parent)


def create(root, **settings):
    return RunFolder.create(
        root,
        config(**settings),
        command=["rlplug", "train", "dqn", "cartpole"],
        versions={"rlplug-atari": "0.3"},
    )


def test_a_new_run_folder_holds_settings_record_and_places_for_the_rest(tmp_path):
    with create(tmp_path) as run:
        assert run.path.parent == tmp_path / "cartpole" / "dqn"
        assert names(run.path) == [
            ".lock", "checkpoints", "config.yaml", "console.log", "metrics.jsonl", "run.json",
        ]  # fmt: skip
        assert names(run.path.parent) == [run.path.name]
        time, seed = run.path.name.rsplit("-", 1)
        assert seed == "3"
        started = datetime.strptime(time, "%Y%m%d-%H%M%S").astimezone()
        assert abs((datetime.now().astimezone() - started).total_seconds()) < 60
        assert run.checkpoints.is_dir()
        assert run.metrics.read_text() == run.console_log.read_text() == ""


def test_run_json_records_what_ran_and_on_what(tmp_path):
    with create(tmp_path) as run:
        record = json.loads((run.path / "run.json").read_text())

    assert record["algorithm"] == "dqn"
    assert record["environment"] == "cartpole"
    assert record["seed"] == 3
    assert record["command"] == ["rlplug", "train", "dqn", "cartpole"]
    assert record["versions"] == installed_versions() | {"rlplug-atari": "0.3"}
    assert record["state"] == "running"
    assert record["ended"] is record["outcome"] is record["evaluation"] is None
    assert datetime.fromisoformat(record["started"]).tzinfo is not None


def test_config_yaml_is_plain_yaml_that_starts_with_the_pair_and_reads_back_the_same(tmp_path):
    with create(tmp_path) as run:
        text = (run.path / "config.yaml").read_text()

    assert text.startswith("algorithm: dqn\nenvironment: cartpole\nseed: 3\n")
    assert yaml.safe_load(text)["agent"]["sizes"] == [64, 64]
    assert read_config(run.path) == config().model_dump(mode="json")
    assert read_config(run.path)["agent"]["head"] == "off"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ("ALE/Pong-v5", "ALE-Pong-v5"),
        ("my_envs:Maze-v0", "my_envs-Maze-v0"),
        ("../../etc", "etc"),
        ("..", "unnamed"),
        ("/", "unnamed"),
        ("a b\n\x1b[31mc", "a-b-31mc"),
        ("Größe-v1", "Gr-e-v1"),
    ],
)
def test_an_environment_name_becomes_one_safe_level_of_the_path(tmp_path, environment, folder):
    with create(tmp_path / "runs", environment=environment) as run:
        assert run.path.parent.parent == tmp_path / "runs" / folder
        assert run.record.environment == environment


def test_runs_of_one_second_get_folders_of_their_own(tmp_path):
    runs = [create(tmp_path) for _ in range(5)]

    assert len({run.path for run in runs}) == 5
    assert all((run.path / "run.json").is_file() for run in runs)
    for run in runs:
        run.close()


def test_processes_that_start_at_once_get_folders_of_their_own(tmp_path):
    program = f"""
import sys; sys.path.insert(0, {HERE!r})
from pathlib import Path
from test_run_folder import create
print(create(Path({str(tmp_path)!r})).path)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    paths = {process.communicate()[0].strip() for process in processes}

    assert len(paths) == 3
    assert len(names(tmp_path / "cartpole" / "dqn")) == 3


def test_a_setting_without_a_form_in_yaml_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be written to config\.yaml"):
        create(tmp_path, make=object())
    assert names(tmp_path / "cartpole" / "dqn") == []


def test_a_root_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file is in the way")

    with pytest.raises(RunFolderError, match=r"runs/cartpole/dqn: Not a directory\. Free"):
        create(tmp_path / "runs")


@pytest.mark.parametrize("call", range(4))  # config.yaml, run.json, the folder, its parent
def test_a_disk_that_fails_leaves_no_half_made_folder(tmp_path, monkeypatch, call):
    real_fsync, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == call + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunFolderError, match="cartpole/dqn: No space left on device"):
        create(tmp_path)
    # the last sync comes after the rename: by then the folder is whole
    for name in names(tmp_path / "cartpole" / "dqn"):
        assert call == 3
        assert RunFolder.open(tmp_path / "cartpole" / "dqn" / name).state == "crashed"


def test_a_folder_inside_a_run_and_a_file_in_it_open_the_run(tmp_path):
    with create(tmp_path) as run:
        (run.checkpoints / "step-000000001").mkdir()
        for inside in (".", "checkpoints", "checkpoints/step-000000001", "config.yaml"):
            assert RunFolder.open(run.path / inside).path.samefile(run.path)


def test_a_relative_path_stays_relative(tmp_path, monkeypatch):
    create(tmp_path / "runs").close()
    monkeypatch.chdir(tmp_path)
    (name,) = names(Path("runs/cartpole/dqn"))

    path = Path("runs/cartpole/dqn") / name
    assert RunFolder.open(path).path == path


def test_a_path_that_no_file_system_takes_is_refused():
    with pytest.raises(RunFolderError, match="cannot be read: File name too long"):
        RunFolder.open(Path("x" * 5_000))


def test_a_path_without_a_run_is_refused_with_the_newest_run_near_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(RunFolderError, match=r"absent: nothing is there\. Start one with"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(RunFolderError, match=r"elsewhere is not a run folder: it has no run\.json"):
        RunFolder.open(tmp_path / "elsewhere")

    with create(tmp_path / "runs") as run:
        with pytest.raises(RunFolderError, match=rf"not a run folder.* in .*runs is {run.path}\."):
            RunFolder.open(tmp_path / "runs")
        with pytest.raises(RunFolderError, match=rf"in .*cartpole is {run.path}\."):
            RunFolder.open(tmp_path / "runs" / "cartpole")
        with pytest.raises(RunFolderError, match=rf"in runs is {run.path.relative_to(tmp_path)}\."):
            RunFolder.open(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"algorithm": 1}', "\udcff", "[" * 10_000], ids=range(6)
)
def test_a_run_json_that_is_none_is_refused(tmp_path, content):
    with create(tmp_path) as run:
        (run.path / "run.json").write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(RunFolderError, match=r"run\.json cannot be read: .* start a new run"):
            RunFolder.open(run.path)


@pytest.mark.parametrize("content", ["a: [", "a: 1\na: 2", "- 1", "\udcff", None])
def test_a_config_that_cannot_be_read_is_refused(tmp_path, content):
    with create(tmp_path) as run:
        file = run.path / "config.yaml"
        file.unlink()
        if content is not None:
            file.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(RunFolderError, match="settings of this run cannot be read"):
            read_config(run.path)


def test_config_yaml_is_parsed_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with create(tmp_path) as run:
        (run.path / "config.yaml").write_text("a: !!python/object/apply:os.mkdir [sprung]\n")
        with suppress(RunFolderError):
            read_config(run.path)
    assert not (tmp_path / "sprung").exists()


def test_an_update_changes_run_json_at_once_and_only_what_it_names(tmp_path):
    with create(tmp_path) as run:
        before = json.loads((run.path / "run.json").read_text())
        run.update(state="finished", outcome="done", evaluation={"mean_return": 500.0}, env_steps=9)
        after = json.loads((run.path / "run.json").read_text())

    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"state", "outcome", "evaluation", "env_steps", "ended"}
    reopened = RunFolder.open(run.path)
    assert reopened.record == run.record
    assert reopened.state == "finished"


def test_a_resume_with_other_settings_puts_them_in_config_yaml(tmp_path):
    with create(tmp_path) as run:
        run.rewrite_config(config(seed=9))
        assert read_config(run.path)["seed"] == 9
        with pytest.raises(ConfigError, match="Give plain values"):
            run.rewrite_config(config(make=object()))
        assert read_config(run.path)["seed"] == 9


def test_a_run_that_goes_on_has_not_ended(tmp_path):
    with create(tmp_path) as run:
        run.update(state="interrupted")
        assert run.record.ended is not None
        run.update(state="running")
        assert run.record.ended is None


def test_an_update_on_a_full_disk_keeps_the_old_record(tmp_path, monkeypatch):
    with create(tmp_path) as run:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            with pytest.raises(RunFolderError, match="File too large"):
                run.update(state="finished")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert run.record.state == "running"
        assert RunFolder.open(run.path).record.state == "running"


def test_a_second_process_is_refused_with_the_first_ones_id(tmp_path):
    with create(tmp_path) as run:
        program = (
            "import sys; from pathlib import Path; from rlplug.run_folder import RunFolder;"
            "RunFolder.open(Path(sys.argv[1])).lock()"
        )
        second = subprocess.run(
            [sys.executable, "-c", program, str(run.path)],
            capture_output=True,
            text=True,
            check=False,
        )

    assert second.returncode != 0
    assert f"is in use by process {os.getpid()} on " in second.stderr


def test_the_lock_is_free_after_the_run_and_taken_once_in_it(tmp_path):
    run = create(tmp_path)
    again = RunFolder.open(run.path)
    with pytest.raises(RunFolderError, match="in use"):
        again.lock()
    run.lock()  # its own
    run.close()
    run.close()
    with again.lock(), pytest.raises(RunFolderError, match="in use"):
        run.lock()


def test_a_run_that_was_killed_is_told_from_one_that_runs(tmp_path):
    program = f"""
import os, signal, sys; sys.path.insert(0, {HERE!r})
from pathlib import Path
from test_run_folder import create
run = create(Path({str(tmp_path)!r}))
print(run.path, flush=True)
signal.pause()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    path = Path(process.stdout.readline().strip())
    assert RunFolder.open(path).state == "running"

    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert RunFolder.open(path).state == "crashed"
    RunFolder.open(path).lock().close()


def test_importing_run_folders_imports_neither_torch_nor_gymnasium():
    program = "import sys, rlplug.run_folder; assert not {'torch', 'gymnasium'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", [".lock", "metrics.jsonl", "console.log", "checkpoints"])
def test_a_link_in_a_run_folder_is_not_written_through(tmp_path: Path, name: str) -> None:
    run = create(tmp_path)
    run.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    path = run.path / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(elsewhere)
    with pytest.raises(RunFolderError, match=f"{path} is a link"):
        RunFolder.open(run.path).lock()
    assert RunFolder.open(run.path).state in {"running", "crashed"}
    assert elsewhere.read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    [
        "checkpoints/step-000000001",
        "checkpoints/step-000000001/manifest.json",
        "replay/column-0.npy",
        "videos/one.gif",
    ],
)
def test_nor_is_one_in_the_folders_that_it_writes_to(tmp_path: Path, name: str) -> None:
    with create(tmp_path) as run:
        path = run.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path)
    refused = RunFolder.open(run.path)
    with pytest.raises(RunFolderError, match=f"{path} is a link"):
        refused.lock()
    path.unlink()
    RunFolder.open(run.path).lock().close()  # the refused one does not hold the lock


@pytest.mark.parametrize("name", ["metrics.jsonl", "console.log", ".lock"])
def test_a_pipe_in_a_run_folder_stops_nobody(tmp_path: Path, name: str) -> None:
    with create(tmp_path) as run:
        path = run.path / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RunFolderError, match=f"{path} is a pipe, a socket or a device"):
        RunFolder.open(run.path).lock()


@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_settings_and_records_are_read_within_bounds(tmp_path: Path, kind: str) -> None:
    with create(tmp_path) as run:
        pass

    def spoil(name: str) -> None:
        file = run.path / name
        file.unlink()
        if kind == "pipe":
            os.mkfifo(file)
        else:
            with file.open("wb") as sparse:
                sparse.truncate(1 << 40)

    spoil("config.yaml")
    with pytest.raises(RunFolderError, match="settings of this run cannot be read"):
        read_config(run.path)
    spoil("run.json")
    with pytest.raises(RunFolderError, match=r"run\.json"):
        RunFolder.open(run.path)
