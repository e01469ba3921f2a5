"""Which algorithm is measured where, after how many steps, and the mark it is held to."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One row of a results page."""

    algorithm: str
    environment: str
    env_steps: int
    mark: float
    preset: str = "default"
    stays_below: bool = False
    """The mark is one that this algorithm cannot reach: what it lacks is what is shown."""
    workers: int = 1
    """Ray's, where they are several."""
    mode: str = "sync"

    @property
    def command_name(self) -> str:
        """The algorithm, and what is to be asked for beside it."""
        preset = "" if self.preset == "default" else f" --preset {self.preset}"
        workers = f" --workers {self.workers}" if self.workers > 1 else ""
        mode = "" if self.mode == "sync" else f" --mode {self.mode}"
        return f"{self.algorithm}{preset}{workers}{mode}"

    def reaches(self, mean_return: float) -> bool:
        """Whether a seed's figure is what the row claims."""
        return mean_return < self.mark if self.stays_below else mean_return >= self.mark

    @property
    def key(self) -> str:
        """Names the row in the JSON file."""
        mode = f" {self.mode}" if self.workers > 1 else ""
        return f"{self.algorithm} {self.environment}{mode}"


PLUGINS = {"atari": "rlplug-atari", "mujoco": "rlplug-mujoco", "procgen": "rlplug-procgen"}
"""The package that a suite's environments come from, and whose versions its page names."""
SIMULATORS = {"atari": "ale-py", "mujoco": "mujoco", "procgen": "procgen-mirror"}
"""What that package plays in."""

VALUE_FAMILY = (
    "dqn",
    "double-dqn",
    "dueling-dqn",
    "n-step-dqn",
    "per-dqn",
    "noisy-dqn",
    "c51",
    "qr-dqn",
    "iqn",
    "m-dqn",
    "m-iqn",
    "rainbow",
    "rainbow-iqn",
)

SUITES: dict[str, tuple[Entry, ...]] = {
    "first-command": (Entry("dqn", "cartpole", 50_000, 475),),
    "actor-critic": (
        Entry("ppo", "cartpole", 100_000, 475),
        Entry("a2c", "cartpole", 500_000, 475),
        Entry("reinforce", "cartpole", 300_000, 350),
        Entry("ppo", "pendulum", 300_000, -250),
        Entry("recurrent-ppo", "cartpole-positions", 300_000, 400),
        Entry("ppo", "cartpole-positions", 300_000, 200, stays_below=True),
        Entry("ppo", "LunarLander-v3", 1_000_000, 200),
        Entry("sac", "pendulum", 20_000, -200),
        Entry("td3", "pendulum", 20_000, -200),
        Entry("ddpg", "pendulum", 20_000, -250),
        Entry("sac-discrete", "cartpole", 100_000, 400),
    ),
    "atari": (Entry("ppo", "atari/pong", 1_000_000, 0, preset="short"),),
    "mujoco": (Entry("sac", "mujoco/halfcheetah", 100_000, 3000),),
    "procgen": (Entry("ppo", "procgen/starpilot", 1_000_000, 4.32, preset="short"),),
    "value-family": tuple(
        Entry(name, "cartpole", 100_000, 475, preset="long" if name == "dqn" else "default")
        for name in VALUE_FAMILY
    ),
    "with-workers": (
        Entry("ppo", "cartpole", 100_000, 475, workers=8),
        Entry("appo", "cartpole", 100_000, 475, workers=8, mode="async"),
        Entry("dqn", "cartpole", 100_000, 475, preset="long", workers=8),
        Entry("dqn", "cartpole", 100_000, 475, preset="long", workers=8, mode="async"),
        Entry("ape-x", "cartpole", 100_000, 475, workers=8),
        Entry("ape-x", "cartpole", 100_000, 475, workers=8, mode="async"),
        Entry("impala", "cartpole", 200_000, 475, workers=8, mode="async"),
    ),
}

REMARKS: dict[str, str] = {
    "with-workers": "Ray was started for every run, with one environment in each of the workers.",
    "atari": "Episodes are whole games, returns are raw scores: -21 to 21 in Pong. An environment "
    "step is four frames.",
    "procgen": "Training plays 200 levels in easy mode; the mark is three times what a uniformly "
    "random policy scores on them (1.44).",
}
"""What a suite's page says below its table."""
