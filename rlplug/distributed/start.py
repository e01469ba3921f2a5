"""From a resolved run to its workers, and to what else runs beside training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplug.distributed.async_collector import AsyncCollector
from rlplug.distributed.engine import RayEngine
from rlplug.distributed.pool import WorkerPool
from rlplug.distributed.session import RaySession
from rlplug.distributed.sync_collector import SyncCollector

if TYPE_CHECKING:
    from rlplug.config import LaunchConfig
    from rlplug.distributed.engine import Engine
    from rlplug.distributed.plan import WorkerPlan
    from rlplug.resolve import Resolved


def start_engine(launch: LaunchConfig) -> Engine:
    """Start Ray, or join its cluster.

    Raises:
        ConfigError: the cluster cannot be used as it is.
        WorkerError: Ray cannot be started.
    """
    session = RaySession(launch)
    try:
        session.open()
        return RayEngine(session)
    except BaseException:
        session.close()
        raise


def start_workers(
    engine: Engine, resolved: Resolved, plan: WorkerPlan
) -> SyncCollector | AsyncCollector:
    """Start the run's workers.

    Raises:
        WorkerError: they are not there in time.
        RlplugError: one cannot be built: its environment, its policy.
    """
    pool = WorkerPool(engine, resolved, plan)
    try:
        pool.start()
    except BaseException:
        pool.close()
        raise
    if resolved.config.launch.mode == "sync":
        return SyncCollector(pool)
    return AsyncCollector(
        pool,
        total_env_steps=plan.total_env_steps,
        fixed_length=resolved.config.replay is None,
    )
