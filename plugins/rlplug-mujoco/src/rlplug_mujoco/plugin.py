"""What rlplug-mujoco registers. No MuJoCo, no Gymnasium: heavy parts are import strings."""

from __future__ import annotations

from typing import Literal

from rlplug.specs import EnvironmentSpec


def _task(
    gymnasium_id: str,
    name: str,
    summary: str,
    *aliases: str,
    vectorize: Literal["sync", "async"] = "sync",
) -> EnvironmentSpec:
    """One of Gymnasium's tasks; its maker and its settings have the name of its environment."""
    task = gymnasium_id.partition("-")[0]
    return EnvironmentSpec(
        name=name,
        summary=summary,
        make=f"rlplug_mujoco.make:{task}",
        config=f"rlplug_mujoco.config:{task}Config",
        state="rlplug_mujoco.state:MujocoState",
        aliases=(gymnasium_id, f"mujoco/{name}", *aliases),
        vectorize=vectorize,
    )


HALFCHEETAH = _task(
    "HalfCheetah-v5",
    "halfcheetah",
    "Run fast on two legs, in a plane",
    "half-cheetah",
)
HOPPER = _task("Hopper-v5", "hopper", "Hop forward on one leg without falling")
WALKER2D = _task("Walker2d-v5", "walker2d", "Walk on two legs, in a plane, without falling")
ANT = _task("Ant-v5", "ant", "Run on four legs without turning over")
# A step of these takes long enough to hand it to a process; the README has the figures.
HUMANOID = _task("Humanoid-v5", "humanoid", "Walk upright on two legs", vectorize="async")
HUMANOID_STANDUP = _task(
    "HumanoidStandup-v5", "humanoid-standup", "Stand up from the ground", vectorize="async"
)
SWIMMER = _task("Swimmer-v5", "swimmer", "Swim with three links")
REACHER = _task("Reacher-v5", "reacher", "Bring the tip of a two-joint arm to a point")
PUSHER = _task("Pusher-v5", "pusher", "Push a cylinder to its place with an arm")
INVERTED_PENDULUM = _task("InvertedPendulum-v5", "inverted-pendulum", "Balance a pole on a cart")
INVERTED_DOUBLE_PENDULUM = _task(
    "InvertedDoublePendulum-v5",
    "inverted-double-pendulum",
    "Balance two poles, one on the other, on a cart",
)
