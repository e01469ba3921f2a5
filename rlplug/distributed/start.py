"""From a resolved run to a collector over its workers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rlplug.distributed.async_collector import AsyncCollector
from rlplug.distributed.engine import RayEngine
from rlplug.distributed.plan import plan_of
from rlplug.distributed.pool import WorkerPool
from rlplug.distributed.session import RaySession
from rlplug.distributed.sync_collector import SyncCollector

if TYPE_CHECKING:
    from rlplug.distributed.engine import Engine
    from rlplug.resolve import Resolved


def start_collector(resolved: Resolved, *, total_env_steps: int) -> SyncCollector | AsyncCollector:
    """Start Ray and the run's workers.

    Raises:
        ConfigError: the cluster cannot be used as it is.
        WorkerError: Ray or the workers cannot be started.
        RlplugError: a worker cannot be built: its environment, its policy.
    """
    session = RaySession(resolved.config.launch)
    try:
        session.open()
        return collector_of(RayEngine(session), resolved, total_env_steps=total_env_steps)
    except BaseException:
        session.close()
        raise


def collector_of(
    engine: Engine, resolved: Resolved, *, total_env_steps: int
) -> SyncCollector | AsyncCollector:
    """Start the run's workers with an engine that is there."""
    scratch = tempfile.TemporaryDirectory(prefix="rlplug-workers-")
    plan = plan_of(resolved, total_env_steps=total_env_steps, scratch=Path(scratch.name))
    pool = WorkerPool(engine, resolved, plan, scratch)
    try:
        pool.start()
    except BaseException:
        pool.close()
        raise
    if resolved.config.launch.mode == "sync":
        return SyncCollector(pool)
    return AsyncCollector(
        pool, total_env_steps=total_env_steps, fixed_length=resolved.config.replay is None
    )
