"""Joining a cluster from outside: its client port, whose server takes its time to start."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ray_clusters import clusters_in

import rlplug

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.learning,
    # Ray leaves sockets and files to the garbage collector when it starts and ends its processes
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def cluster() -> Iterator[Any]:
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))  # Ray's sockets need short paths
    yield from clusters_in(folder / "ray")
    shutil.rmtree(folder)


@pytest.mark.timeout(900)
def test_a_cluster_is_joined_through_its_client_port_and_left_running(
    cluster: Any, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    joined = cluster(1, ray_client_server_port=port)
    small = {
        "agent.network.hidden_sizes": [8],
        "evaluate.final_episodes": 1,
        "evaluate.where": "inline",
        "launch.cluster": f"ray://127.0.0.1:{port}",
    }
    result = rlplug.train("dqn", "cartpole", steps=2_000, workers=2, run_dir=tmp_path, **small)
    assert result.env_steps == 2_000
    log = (result.run_dir / "console.log").read_text()
    assert f"Joined the Ray cluster at {joined.address}: 1 node, 1 processor core." in log
    assert joined.remaining_processes_alive()
