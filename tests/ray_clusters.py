"""Ray clusters of several nodes on this machine, for tests that join one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
"""One core each, and no more shared memory than Ray insists on."""


def clusters_in(folder: Path) -> Iterator[Any]:
    """For a fixture: what starts a cluster of so many nodes, which is gone when the test ends."""
    from ray.cluster_utils import Cluster

    started: list[Any] = []

    def start(num_nodes: int, **of_head: Any) -> Any:
        head = {**NODE, **of_head, "temp_dir": str(folder)}
        started.append(Cluster(initialize_head=True, head_node_args=head))
        for _ in range(1, num_nodes):
            started[0].add_node(**NODE)
        started[0].wait_for_nodes()
        return started[0]

    yield start
    started[0].shutdown()
    shutil.rmtree(folder)
