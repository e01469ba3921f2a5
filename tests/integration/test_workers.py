"""Real workers of Ray: whole runs, and faults that are really done.

Ray is started for this file once; runs within this process use it, as they would any that is there.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rlplug.distributed.pool import WorkerPool
from rlplug.distributed.session import RaySession
from rlplug.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    # Ray leaves sockets and files to the garbage collector when it starts and ends its processes
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ray"),
]
TINY = (
    "--preset none --agent.network.hidden_sizes [8] --evaluate.num_envs 1 --evaluate.episodes 1 "
    "--evaluate.final_episodes 1 --evaluate.every_env_steps 1e6 --tracking.tensorboard false "
)
DQN = "--agent.batch_size 8 --train.warmup_env_steps 50 --train.collect_env_steps 20 "


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray for all tests of this file, on two cores however many there are."""
    launch = resolve("dqn", "cartpole", workers=2).config.launch
    session = RaySession(launch)
    session.open()
    import ray

    yield ray
    session.close()


@pytest.mark.usefixtures("ray")
def test_one_worker_trains_to_the_bit_what_this_process_would(lab: Any) -> None:
    line = f"dqn cartpole --steps 400 {DQN} {TINY} --envs-per-worker 2 --seed 4"
    local, there = lab.train(line), lab.train(f"{line} --launcher ray")
    ours, theirs = lab.state(local), lab.state(there)
    for part in ("agent", "policy_weights", "replay", "trainer"):
        of_part = {name: leaf for name, leaf in ours.items() if name.startswith(part)}
        assert of_part
        assert of_part == {name: leaf for name, leaf in theirs.items() if name.startswith(part)}
    assert lab.record(there)["evaluation"]["returns"] == lab.record(local)["evaluation"]["returns"]
    assert lab.record(there)["chosen"]["launch.launcher"] == "ray"


@pytest.mark.usefixtures("ray")
def test_a_resumed_run_with_workers_comes_to_the_same_end(lab: Any) -> None:
    line = f"dqn cartpole {DQN} {TINY} --workers 2 --agent.exploration.epsilon 0.5"
    whole = lab.train(f"{line} --steps 300")
    part = lab.train(f"{line} --steps 160")
    assert lab(f"train --resume {part} --steps 300 --console plain").code == 0
    assert lab.state(part) == {
        name: leaf for name, leaf in lab.state(whole).items() if name in lab.state(part)
    }
    assert lab.record(part)["env_steps"] == 300


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for child in children for c in (child, *descendants(int(child)))]


def workers() -> list[int]:
    """Processes of this one's workers; Ray names them after what they do."""
    found = []
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_text().startswith("ray::Worker"):
                found.append(pid)
    return found


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.usefixtures("ray")
def test_killed_workers_are_replaced_and_the_run_comes_to_its_step_count(
    lab: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by SIGKILL, twice, between two orders or in the middle of one."""
    killed: list[int] = []
    collect = WorkerPool.take

    def kill_then_take(pool: Any, place: Any) -> Any:
        """Once 100 and once 200 steps are there, end the worker that is asked."""
        answer = collect(pool, place)
        steps = getattr(getattr(answer, "rollout", None), "env_steps", 0)
        if steps > 100 * (len(killed) + 1) and len(killed) < 2:
            victim = place.about.pid
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)
        return answer

    monkeypatch.setattr(WorkerPool, "take", kill_then_take)
    run_dir = lab.train(f"dqn cartpole --steps 600 {DQN} {TINY} --workers 2 --mode {mode}")
    assert len(set(killed)) == 2
    assert lab.record(run_dir)["env_steps"] == 600
    rows = [row for row in lab.rows(run_dir) if "updates" in row]
    assert rows[-1]["worker_restarts"] == 2
    assert rows[-1]["updates"] == int((600 - 50) * 0.25)
    log = (lab.folder / run_dir / "console.log").read_text()
    assert log.count("its process was killed. It is replaced") == 2
    assert all(f"(pid {pid}" in log for pid in killed)


@pytest.mark.usefixtures("ray")
def test_an_environment_that_hangs_is_replaced_and_shows_where_it_stood(lab: Any) -> None:
    outcome, run_dir = lab.fail(
        f"dqn sleeping_environment:Hanging --steps 500 {DQN} {TINY} --workers 1 --launcher ray "
        "--env-timeout 1 --launch.max_restarts 1 --env.kwargs.after 60"
    )
    assert outcome.code == 4
    assert "did not come back from a step in 1 s" in outcome.err
    log = (lab.folder / run_dir / "console.log").read_text()
    assert "in hang" in log  # the function that it stood in
    assert lab.record(run_dir)["env_steps"] > 60
    assert lab.record(run_dir)["env_steps"] in lab.checkpoint_steps(run_dir)
    fixed = lab(f"train --resume {run_dir} --launch.max_restarts 9 --steps 100 --console plain")
    assert fixed.code in {0, 2, 4}
