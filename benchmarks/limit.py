"""What bare torch needs for the same work: forward, backward, optimizer step and acting."""

from __future__ import annotations

import json
import resource
import sys
import time

from benchmarks.work import WORK


def main(name: str, threads: str, device: str = "cpu") -> None:
    """Make the named work's updates and forward passes on fixed data."""
    started = time.perf_counter()
    import torch

    from benchmarks.bare import LEARNERS, wait

    if threads.isdigit():
        torch.set_num_threads(int(threads))
    match, work = WORK[name].match, WORK[name].limit
    learner = LEARNERS[match.algorithm](work, device)
    learner.act()
    learner.update()
    wait(device)
    iterations = max(1, work.updates // work.updates_per_iteration)
    at = time.perf_counter()
    for _ in range(iterations):
        for _ in range(work.collect_env_steps // work.num_envs):
            learner.act()
        for _ in range(work.updates_per_iteration):
            learner.update()
    wait(device)
    seconds = time.perf_counter() - at
    figures = {
        "steps_per_second": iterations * work.collect_env_steps / seconds,
        "wall_seconds": time.perf_counter() - started,
        "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "updates": iterations * work.updates_per_iteration,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
