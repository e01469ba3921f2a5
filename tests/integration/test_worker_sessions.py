"""Runs that start Ray and end it, however they end: nothing of it is left, and the next one starts.

Everything that Ray and its workers leave is looked for: processes by a variable that all of them
inherit, files in the folder for temporary files, and shared memory.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ray_clusters import NODE, clusters_in

from rlplug.algorithms.dqn.agent import DqnAgent
from rlplug.config import LaunchConfig
from rlplug.distributed.pool import WorkerPool
from rlplug.distributed.session import RaySession
from rlplug.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    # Ray leaves sockets and files to the garbage collector when it starts and ends its processes
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SMALL = (
    "dqn cartpole --agent.network.hidden_sizes [8] --agent.batch_size 8 --evaluate.final_episodes 1"
    " --train.warmup_env_steps 50 --train.collect_env_steps 20 --evaluate.every_env_steps 1e6"
    " --workers 2"
)
SHARED = Path("/dev/shm")


def processes_in(folder: Path) -> list[str]:
    """Command lines of all other processes that have `folder` for their temporary files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
            line = (process / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if f"TMPDIR={folder}".encode() in variables and int(process.name) != os.getpid():
            found.append(line.replace(b"\0", b" ").decode())
    return found


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (true := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return true


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files; at the end nothing of ours or Ray's is in it, and no process.

    It is asked for after pytest's own, which is where that would be otherwise.
    """
    before = set(SHARED.glob("*plasma*"))
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))  # Ray's sockets need short paths
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert wait_until(lambda: not processes_in(folder), 60.0), processes_in(folder)
    left = [each.name for each in folder.iterdir()]
    assert [name for name in left if not name.startswith("torchinductor")] == []  # torch's cache
    assert wait_until(lambda: set(SHARED.glob("*plasma*")) <= before, 10.0)  # others may be at work
    shutil.rmtree(folder)


def test_a_learner_that_is_stopped_leaves_nothing_and_the_next_starts_at_once(
    lab: Any, temporary: Path
) -> None:
    process = lab.start(f"{SMALL} --steps 1000000 --mode async --checkpoint.every_env_steps 200")
    try:
        assert wait_until(lambda: any(lab.folder.glob("runs/*/*/2*/checkpoints/step-*[1-9]*")), 120)
        assert processes_in(temporary)
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert "Stopped by SIGTERM" in told
    (run_dir,) = lab.runs()
    done = lab.record(run_dir)["env_steps"]
    assert lab.record(run_dir)["state"] == "interrupted"
    assert done in lab.checkpoint_steps(run_dir)
    outcome = lab(f"train --resume {run_dir} --steps {done + 100} --console plain")
    assert outcome.code == 0, outcome.err
    assert lab.record(run_dir)["env_steps"] == done + 100


@pytest.mark.usefixtures("temporary")
def test_a_learner_that_raises_leaves_nothing(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def update(self: Any, batch: Any) -> Any:
        raise ZeroDivisionError("a fault of the agent's")

    monkeypatch.setattr(DqnAgent, "update", update)
    outcome, run_dir = lab.fail(f"{SMALL} --steps 1000")
    assert "a fault of the agent's" in outcome.err
    assert lab.record(run_dir)["state"] == "crashed"


@pytest.mark.usefixtures("temporary")
def test_a_learner_that_diverges_leaves_nothing(lab: Any) -> None:
    outcome, run_dir = lab.fail(
        f"{SMALL} --steps 1000 --mode async --agent.optimizer.learning_rate 1e30"
    )
    assert outcome.code == 5
    assert "Training diverged: " in outcome.err
    assert lab.record(run_dir)["state"] == "crashed"


@pytest.mark.usefixtures("temporary")
def test_a_start_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's first processes run already when one of the others does not come."""

    def fail(*_: Any, **__: Any) -> Any:
        raise TimeoutError("the raylet did not come in time")

    monkeypatch.setattr("ray._private.services.start_raylet", fail)
    monkeypatch.setattr("rlplug.distributed.session.ATTEMPTS", 2)
    with pytest.raises(WorkerError, match=r"could not be started: .*raylet did not come"):
        RaySession(LaunchConfig(workers=2)).open()


def test_shared_memory_that_is_full_is_told_before_training(lab: Any) -> None:
    """In a namespace of its own, with an eighth of what Ray needs."""
    command = f"{sys.executable} -m rlplug train {SMALL} --steps 100"
    line = f"mount -t tmpfs -o size=10m tmpfs {SHARED} && {command}"
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-m", "true"], check=False).returncode:
        pytest.skip("a namespace of its own needs root")
    done = subprocess.run(
        [unshare, "-m", "sh", "-c", line],
        cwd=lab.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert "/dev/shm has 10 MB free, at least 80 MB are needed" in done.stderr
    assert "--shm-size 1g" in done.stderr
    assert lab.runs() == []


@pytest.fixture
def cluster(temporary: Path) -> Iterator[Any]:
    """Start one of so many nodes of one core each, on this machine: `cluster(2)`."""
    yield from clusters_in(temporary / "ray")


def test_auto_joins_the_cluster_that_ray_names_and_leaves_it_running(
    lab: Any, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = cluster(1)
    monkeypatch.setenv("RAY_ADDRESS", joined.address)
    run_dir = lab.train(f"{SMALL} --steps 200 --cluster auto --evaluate.where inline")
    assert lab.record(run_dir)["env_steps"] == 200
    log = (lab.folder / run_dir / "console.log").read_text()
    assert f"Joined the Ray cluster at {joined.address}: 1 node, 1 processor core." in log
    assert "2 workers share 1 processor core: they step by turns" in log
    assert joined.remaining_processes_alive()


def test_a_run_goes_on_without_a_node_that_leaves_and_with_one_that_joins(
    lab: Any, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = cluster(2)
    answers: list[tuple[int, int, int]] = []  # of each rollout: its step, place and life
    nodes: list[str] = []
    take = WorkerPool.take

    def take_and_change_nodes(pool: Any, place: Any) -> Any:
        answer = take(pool, place)
        if (rollout := getattr(answer, "rollout", None)) is None:
            return answer
        answers.append((rollout.env_steps, place.index, place.life))
        if rollout.env_steps > 200 and not nodes:
            nodes.append("left")
            joined.remove_node(*joined.worker_nodes, allow_graceful=False)
        elif rollout.env_steps > 400 and nodes == ["left"]:
            nodes.append("joined")
            joined.add_node(**NODE)
            assert wait_until(lambda: pool.admit() or len(pool.ready) == 2, 90.0)
        return answer

    monkeypatch.setattr(WorkerPool, "take", take_and_change_nodes)
    run_dir = lab.train(f"{SMALL} --steps 800 --cluster {joined.address} --evaluate.where inline")
    assert nodes == ["left", "joined"]
    assert lab.record(run_dir)["env_steps"] == 800
    (lost,) = {place for _, place, life in answers if life == 1}
    alone = [place for steps, place, life in answers if 240 < steps < 400]
    assert alone == [1 - lost] * len(alone)
    assert {place for steps, place, _ in answers if steps > 700} == {0, 1}
    log = (lab.folder / run_dir / "console.log").read_text()
    assert f"Joined the Ray cluster at {joined.address}: 2 nodes, 2 processor cores." in log
    assert log.count("It is replaced") == 1
    # Ray says of its worker that it is gone before it knows why
    assert "its node left the cluster." in log or "its process or its node has gone." in log
