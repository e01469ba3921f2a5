"""What bare torch needs for the same work: forward, backward, optimizer step and acting."""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time

from benchmarks.work import WORK


def main(name: str, threads: str) -> None:
    """Make the named work's updates and forward passes on fixed data."""
    started = time.perf_counter()
    import torch
    from torch import nn

    torch.set_num_threads(int(threads) if threads.isdigit() else 1)
    work = WORK[name].limit
    assert work is not None
    sizes = (4, *work.hidden_sizes, 2)

    def network() -> nn.Sequential:
        layers = [[nn.Linear(i, o), nn.ReLU()] for i, o in itertools.pairwise(sizes)]
        return nn.Sequential(*list(itertools.chain(*layers))[:-1])

    online, target = network(), network()
    optimizer = torch.optim.Adam(online.parameters(), work.learning_rate, fused=True)
    observation = torch.rand(work.batch_size, 4)
    action = torch.randint(2, (work.batch_size, 1))
    at, iterations = time.perf_counter(), 2_000 // work.updates_per_iteration
    for _ in range(iterations):
        with torch.inference_mode():
            for _ in range(work.collect_env_steps // work.num_envs):
                online(observation[: work.num_envs]).argmax(1)
        for _ in range(work.updates_per_iteration):
            with torch.no_grad():
                returns = 1 + 0.99 * target(observation).amax(1)
            value = online(observation).gather(1, action).squeeze(1)
            loss = nn.functional.smooth_l1_loss(value, returns)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
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
