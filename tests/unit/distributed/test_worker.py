"""What a worker does in its own process, here in ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_site import fake_site

from rlplug.distributed.plan import Berth, plan_of
from rlplug.distributed.worker import Worker
from rlplug.resolve import resolve

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fake_site"]

HOOKS = """
    from pathlib import Path
    from rlplug.registry.hookspecs import hookimpl

    @hookimpl
    def rlplug_worker_started(event):
        text = f"{event.config.algorithm} {event.worker} {event.streams}"
        Path(__file__).with_suffix(".txt").write_text(text)
"""


def test_hooks_are_told_of_a_worker_and_its_environments(fake_site: Any, tmp_path: Path) -> None:
    fake_site.install("rlplug-w", {"w_hooks.py": HOOKS}, {"hooks": {"w": "w_hooks"}})
    resolved = resolve("dqn", "cartpole", overrides={"launch.num_envs": 5})
    worker = Worker()
    prepared = worker.prepare(
        plan_of(resolved, total_env_steps=100, scratch=tmp_path), Berth(1, 3, 2, 0)
    )
    worker.close()
    assert not hasattr(prepared, "traceback"), prepared
    assert (fake_site.folder / "w_hooks.txt").read_text() == "dqn 1 (3, 4)"
