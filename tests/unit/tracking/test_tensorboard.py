import builtins
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlplug.errors import ConfigError
from rlplug.tracking import TensorBoardTracker
from rlplug.tracking.tensorboard import is_installed


def scalars(folder, tag):
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_tensorboard_reads_each_metric_at_its_step(tmp_path):
    tracker = TensorBoardTracker(tmp_path)
    tracker.write(100, {"loss": 0.5, "evaluation/mean_return": 10.0})
    tracker.write(200, {"loss": 0.25})
    tracker.close()
    tracker.close()

    assert scalars(tmp_path, "training/loss") == [(100, 0.5), (200, 0.25)]
    assert scalars(tmp_path, "evaluation/mean_return") == [(100, 10.0)]


def test_events_are_on_the_disk_as_soon_as_they_are_written(tmp_path):
    tracker = TensorBoardTracker(tmp_path)
    tracker.write(100, {"loss": 0.5})

    assert scalars(tmp_path, "training/loss") == [(100, 0.5)]
    tracker.close()


def test_a_resume_shows_no_step_twice(tmp_path):
    first = TensorBoardTracker(tmp_path)
    for env_steps in (100, 200, 300, 400):
        first.write(env_steps, {"loss": 1.0})
    first.close()

    resumed = TensorBoardTracker(tmp_path, resume_at=200)
    for env_steps in (300, 400, 500):
        resumed.write(env_steps, {"loss": 2.0})
    resumed.close()

    assert scalars(tmp_path, "training/loss") == [
        (100, 1.0), (200, 1.0), (300, 2.0), (400, 2.0), (500, 2.0),
    ]  # fmt: skip


def test_event_files_of_one_second_are_read_in_the_order_they_were_made(tmp_path):
    for resume_at in (None, 10, 20, 30):
        TensorBoardTracker(tmp_path, resume_at=resume_at).close()

    names = sorted(path.name for path in tmp_path.iterdir())
    times = [int(name.split(".")[3]) for name in names]
    assert len(set(times)) == 4


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def refuse(name, *args):
        if name.startswith("tensorboard."):
            raise ImportError(name)
        return real_import(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"pip install 'rlplug\[tensorboard\]'"):
        TensorBoardTracker(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_writing_events_imports_neither_torch_nor_tensorflow_nor_grpc(tmp_path):
    program = (
        "import sys; from pathlib import Path; from rlplug.tracking import TensorBoardTracker;"
        "TensorBoardTracker(Path(sys.argv[1])).close();"
        "assert not {'torch', 'tensorflow', 'grpc'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_asking_whether_the_package_is_there_does_not_import_it():
    program = (
        "import sys; from rlplug.tracking.tensorboard import is_installed; assert is_installed();"
        "assert 'tensorboard' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert is_installed()
