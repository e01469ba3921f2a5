"""Starting Ray for a run, quietly, or joining a cluster; and leaving nothing behind."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlplug.errors import ConfigError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.config import LaunchConfig

logger = logging.getLogger("rlplug.distributed")

OBJECT_STORE_BYTES = 256 << 20
"""Shared memory of a cluster that is started here; Ray puts on disk what does not fit."""
_LEAST_STORE_BYTES = 80 << 20
ATTEMPTS = 3
"""To start Ray."""
REMOVE_SECONDS = 5.0
"""For Ray's files to go, while its processes are still ending."""
_REACHABLE_SECONDS = 5.0
_LONGEST_FOLDER = 60
"""Characters; Ray makes sockets below it, whose paths have room for 107."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",  # the learner waits for them
}


class RaySession:
    """Ray as a run uses it: one of its own, which ends with it, or a cluster that it joins."""

    def __init__(self, launch: LaunchConfig) -> None:
        self.folder: Path | None = None
        """Of Ray's own files, where the session is the run's own."""
        self.address = launch.cluster
        self._launch = launch
        self._is_open = False
        self._leaves_ray = False

    def open(self) -> None:
        """Start or join.

        Raises:
            ConfigError: the cluster does not answer, or this machine has no room for one.
            WorkerError: Ray cannot be started.
        """
        import ray

        if ray.is_initialized():  # by the program that trains; it ends what it began
            self._is_open = self._leaves_ray = True
            return
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        with _signals_kept(), _silence():
            if self.address == "none":
                self._start(ray)
            else:
                self._join(ray)
        self._is_open = True

    def _start(self, ray: Any) -> None:
        cores = usable_cores()
        workers = self._launch.num_workers
        _warn_of_few_cores(workers, cores)
        store = _store_bytes()
        for attempt in range(1, ATTEMPTS + 1):
            self.folder = _short_folder()
            try:
                ray.init(
                    address="local",
                    num_cpus=min(cores, workers),
                    num_gpus=0,  # the learner has it; what a worker sees of it would cost memory
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    object_store_memory=store,
                    _temp_dir=str(self.folder),
                )
            except Exception as error:
                # Ray gives its processes 30 seconds, which a machine at its limit may not have
                ray.shutdown()
                self._remove_folder()
                if attempt == ATTEMPTS:
                    msg = f"Ray could not be started: {_first_line(error)}"
                    raise WorkerError(msg) from error
            else:
                return

    def _join(self, ray: Any) -> None:
        if self.address != "auto":
            _require_listener(self.address)
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            hint = "Start one (ray start --head), or leave --cluster out."
            msg = f"launch.cluster: no Ray cluster at {self.address!r}: {_first_line(error)} {hint}"
            raise ConfigError(msg) from error
        nodes = [each for each in ray.nodes() if each["Alive"]]
        logger.warning(
            "Joined the Ray cluster at %s: %d node%s, %g processor core%s.",
            *(
                _address(ray),
                len(nodes),
                "s" * (len(nodes) > 1),
                _cpus(ray),
                "s" * (_cpus(ray) > 1),
            ),
        )
        _warn_of_few_cores(self._launch.num_workers, _cpus(ray))

    def cpus_per_worker(self) -> float:
        """What a worker asks of the cluster: a core, or its share of too few."""
        import ray

        share = min(1.0, _cpus(ray) / self._launch.num_workers)
        return math.floor(share * 1000) / 1000 or 0.001  # Ray counts no finer than 1/10,000

    def close(self) -> None:
        """End what was begun here, also where `open` was broken off; safe to call twice."""
        if self._is_open and not self._leaves_ray:
            import ray

            with _signals_kept(), _silence():
                ray.shutdown()
        self._is_open = False
        self._remove_folder()

    def _remove_folder(self) -> None:
        """Remove Ray's files, and before them who would write them anew."""
        if self.folder is None:
            return
        deadline = time.monotonic() + REMOVE_SECONDS
        while time.monotonic() < deadline:
            _end_processes_of(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                break
            time.sleep(0.05)
        self.folder = None


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _warn_of_few_cores(workers: int, cores: float) -> None:
    if workers > cores:
        logger.warning(
            "%d workers share %g processor core%s: they step by turns, which pays only where an "
            "environment waits for something else.",
            *(workers, cores, "s" * (cores > 1)),
        )


def _store_bytes() -> int:
    """Shared memory that Ray may take.

    Raises:
        ConfigError: where there is too little for any.
    """
    shared = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory
    free = shutil.disk_usage(shared).free if shared.is_dir() else OBJECT_STORE_BYTES
    if free < _LEAST_STORE_BYTES:
        msg = (
            f"Ray's workers hand over data in shared memory: {shared} has {free >> 20} MB free, "
            f"at least {_LEAST_STORE_BYTES >> 20} MB are needed. Free some, give the container "
            "more (docker run --shm-size 1g), or use --launcher local."
        )
        raise ConfigError(msg)
    return min(OBJECT_STORE_BYTES, free - (_LEAST_STORE_BYTES >> 4))


def _short_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="rlplug-ray-")
    if len(folder) > _LONGEST_FOLDER:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="rlplug-ray-", dir="/tmp")
    return Path(folder)


def _end_processes_of(folder: Path) -> None:
    """End Ray's processes that a start that failed has left: their command lines name its folder.

    What they have started themselves ends when they do.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes()
            if str(folder).encode() in line and b"/ray/" in line:
                os.kill(int(process.name), signal.SIGKILL)


def _require_listener(address: str) -> None:
    """Find out in seconds what Ray would find out in minutes.

    Raises:
        ConfigError: nothing listens there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        msg = (
            f"launch.cluster: {address!r} is no address; expected none, auto, HOST:PORT or "
            "ray://HOST:PORT."
        )
        raise ConfigError(msg)
    try:
        socket.create_connection((host, int(port)), timeout=_REACHABLE_SECONDS).close()
    except OSError as error:
        msg = (
            f"launch.cluster: nothing answers at {address} ({error.strerror or error}). Is the "
            "cluster up, and its port open from here?"
        )
        raise ConfigError(msg) from error


def _cpus(ray: Any) -> float:
    """Cores of the whole cluster, as its nodes declared them."""
    return float(ray.cluster_resources().get("CPU", 1.0))


def _address(ray: Any) -> str:
    return str(ray.get_runtime_context().gcs_address)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM over, and would leave without a checkpoint."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what Ray says of itself to itself; what matters it raises."""
    ray_logger = logging.getLogger("ray")
    level = ray_logger.level
    ray_logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        ray_logger.setLevel(level)
