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

    @property
    def command_name(self) -> str:
        """The algorithm, and its preset where that is to be asked for."""
        is_default = self.preset == "default"
        return self.algorithm if is_default else f"{self.algorithm} --preset {self.preset}"

    def reaches(self, mean_return: float) -> bool:
        """Whether a seed's figure is what the row claims."""
        return mean_return < self.mark if self.stays_below else mean_return >= self.mark

    @property
    def key(self) -> str:
        """Names the row in the JSON file."""
        return f"{self.algorithm} {self.environment}"


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
    "mujoco": (Entry("sac", "mujoco/halfcheetah", 100_000, 3000),),
    "value-family": tuple(
        Entry(name, "cartpole", 100_000, 475, preset="long" if name == "dqn" else "default")
        for name in VALUE_FAMILY
    ),
}
