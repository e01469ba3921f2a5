"""What our adapter costs over a simulator's own vector environment, measured in turn.

    python -m benchmarks.stepping atari|procgen|cartpole [--envs 8 32] [--turns 5] [--seconds 4]

Each turn steps the bare vector environment and then ours, for the same time and with the same
actions, in one process; what counts is the ratio of the two within a turn. "Ours" is what a
collector steps: the environment that rlplug makes by default, checked, under the step adapter.
CartPole's vector environment is Gymnasium's own on both sides, and what counts is the microseconds
that the adapter adds to a step of all environments together. It steps in this thread alone, so that
its clock is the process's own, which leaves out what neighbours take of a busy machine.
`python -m benchmarks.mujoco_vectors` does the same for MuJoCo.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rlplug.data import Array

_BATCHES = 64
"""Different batches of actions, drawn before the clock starts."""


class Suite(NamedTuple):
    """One simulator: what we make of it, and what it offers itself."""

    environment: str
    algorithm: str
    """Some algorithm that fits; its settings count for nothing here."""
    packages: tuple[str, ...]
    """Whose versions the table names."""
    bare: Callable[[int], Any]
    """`bare(num_envs)` steps, resets and closes as a `gymnasium.vector.VectorEnv`, with the
    settings that ours has."""
    ours: Callable[[int], StepAdapter] | None = None
    """In place of what a run steps."""
    clock: Callable[[], float] = time.perf_counter


def bare_atari(num_envs: int) -> Any:
    """ale-py's vector environment with the settings of `AtariConfig`."""
    from ale_py.vector_env import AtariVectorEnv
    from gymnasium.vector import AutoresetMode

    return AtariVectorEnv(
        "pong",
        num_envs,
        autoreset_mode=AutoresetMode.SAME_STEP,
        num_threads=min(num_envs, len(os.sched_getaffinity(0))),
        noop_max=31,
        use_fire_reset=False,
        reward_clipping=False,
    )


class BareProcgen:
    """Procgen's own interface: act, then observe."""

    def __init__(self, num_envs: int) -> None:
        from gymnasium.spaces import MultiDiscrete

        from rlplug_procgen.simulator import load

        self.action_space = MultiDiscrete([15] * num_envs)
        self._games = load()(
            num=num_envs,
            env_name="starpilot",
            num_levels=200,
            distribution_mode="easy",
            rand_seed=0,
        )

    def reset(self, *, seed: int) -> None:
        """Wait for the first observation; the games were made with seed 0."""
        if seed != 0:
            raise ValueError(f"seed is {seed}; the bare games have seed 0.")
        self._games.observe()

    def step(self, actions: Array) -> None:
        """Play one step."""
        self._games.act(actions)
        self._games.observe()

    def close(self) -> None:
        """Stop the simulator's threads."""
        self._games.close()


def bare_cartpole(num_envs: int) -> Any:
    """Gymnasium's CartPole, in numpy for all environments at once."""
    import gymnasium

    return gymnasium.make_vec("CartPole-v1", num_envs, vectorization_mode="vector_entry_point")


def adapted_cartpole(num_envs: int) -> StepAdapter:
    """The same under the step adapter."""
    return StepAdapter(bare_cartpole(num_envs), name="CartPole-v1")


SUITES = {
    "atari": Suite("atari/pong", "dqn", ("rlplug-atari", "ale-py"), bare_atari),
    "procgen": Suite("procgen/starpilot", "dqn", ("rlplug-procgen", "procgen-mirror"), BareProcgen),
    "cartpole": Suite(
        "CartPole-v1", "dqn", ("gymnasium", "numpy"), bare_cartpole,
        ours=adapted_cartpole, clock=time.process_time,
    ),
}  # fmt: skip


def our_adapter(suite: Suite, num_envs: int) -> StepAdapter:
    """What a run steps, with the environment's default settings."""
    if suite.ours is not None:
        return suite.ours(num_envs)
    resolved = resolve(suite.algorithm, suite.environment, preset=None)
    env_config: Any = resolved.config.env
    vector = make_vector(resolved.environment, env_config, num_envs)
    return StepAdapter(vector, name=suite.environment, check=env_config.check)


def steps_per_second(
    step: Callable[[Array], Any],
    batches: Sequence[Array],
    seconds: float,
    clock: Callable[[], float],
) -> float:
    """Environment steps per second of `step`, over at least `seconds`."""
    began = clock()
    for num_steps, batch in enumerate(itertools.cycle(batches)):
        if (elapsed := clock() - began) >= seconds:
            return num_steps * len(batch) / elapsed
        step(batch)
    raise ValueError("batches is empty; give some actions to play.")


def measure(
    suite: Suite, num_envs: int, *, turns: int, seconds: float
) -> list[tuple[float, float]]:
    """(bare, ours) of each turn, after one that does not count."""
    bare, ours = suite.bare(num_envs), our_adapter(suite, num_envs)
    space = bare.action_space
    space.seed(0)
    batches = [np.array(space.sample()) for _ in range(_BATCHES)]
    bare.reset(seed=0)
    ours.reset(seed=0)
    rates = [
        tuple(
            steps_per_second(step, batches, seconds, suite.clock) for step in (bare.step, ours.step)
        )
        for _ in range(turns + 1)
    ]
    bare.close()
    ours.close()
    return [(one, other) for one, other in rates[1:]]


def table(name: str, counts: Sequence[int], *, turns: int, seconds: float) -> list[str]:
    """A heading, and a row for each number of environments."""
    suite = SUITES[name]
    versions = ", ".join(f"{package} {version(package)}" for package in suite.packages)
    lines = [
        f"### {suite.environment}",
        "",
        f"{versions}; Python {platform.python_version()}; {os.cpu_count()} cores; median of "
        f"{turns} turns of {seconds:g} s each; what is added, of the best turns.",
        "",
        "| environments | bare, steps/s | ours, steps/s | ours / bare | range | added, µs a step |",
        "|---|---|---|---|---|---|",
    ]
    for num_envs in counts:
        rates = measure(suite, num_envs, turns=turns, seconds=seconds)
        bare, ours = (statistics.median(column) for column in zip(*rates, strict=True))
        ratios = [our / their for their, our in rates]
        # the least disturbed turn of each: what is left is what the adapter does itself
        least_bare, least_ours = (num_envs / max(column) for column in zip(*rates, strict=True))
        added = least_ours - least_bare
        lines.append(
            f"| {num_envs} | {bare:,.0f} | {ours:,.0f} | **{statistics.median(ratios):.2f}** | "
            f"{min(ratios):.2f}-{max(ratios):.2f} | {added * 1e6:.1f} |"
        )
        print(lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    """Parse, measure, print, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stepping", description=__doc__)
    parser.add_argument("suites", nargs="+", choices=sorted(SUITES))
    parser.add_argument("--envs", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--write", type=Path, help="append the tables to this file")
    options = parser.parse_args()
    for name in options.suites:
        lines = table(name, options.envs, turns=options.turns, seconds=options.seconds)
        print("\n".join(lines))
        if options.write:
            with options.write.open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
