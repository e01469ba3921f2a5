"""The `env` section of each task. Neither MuJoCo nor Gymnasium here: help reads this module.

Fields are the keyword arguments of Gymnasium's environments, by their names and with their
defaults; a range has null where there is no bound. What is not here (`width`, `height`,
`camera_name`, ...) goes into `env.kwargs`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlplug.config import Count
from rlplug.envs.config import EnvConfig

ModelFile = Annotated[
    str,
    Field(
        description="Model of the robot and its world: a file of Gymnasium's by its name, or a "
        "path that begins with `/`, `~` or `.`"
    ),
]
FrameSkip = Annotated[
    Count,
    Field(gt=0, description="Physics steps in an environment step; the action is held for them."),
]
ForwardWeight = Annotated[
    float, Field(description="Weight of the speed along x in the reward, per m/s.")
]
ControlWeight = Annotated[
    float, Field(description="Weight of the squared action, which costs reward.")
]
ContactWeight = Annotated[
    float, Field(description="Weight of squared contact forces, which cost reward.")
]
HealthyReward = Annotated[
    float, Field(description="Reward for each step that the robot is up, as the ranges define it.")
]
Termination = Annotated[
    bool, Field(description="End the episode (terminated) where the robot is not up.")
]
Range = tuple[float | None, float | None]
HeightRange = Annotated[
    Range, Field(description="Heights of the trunk, in metres, at which the robot is up.")
]
AngleRange = Annotated[
    Range, Field(description="Angles of the trunk, in radians, at which the robot is up.")
]
ResetNoise = Annotated[
    float, Field(ge=0, description="Size of the random change to the pose at a reset.")
]
HidePosition = Annotated[
    bool, Field(description="Leave the position on the ground out of the observation.")
]
ForcesSeen = Annotated[bool, Field(description="Show the external forces on each body (cfrc_ext).")]


class HalfCheetahConfig(EnvConfig):
    """The `env` section of `halfcheetah`."""

    xml_file: ModelFile = "half_cheetah.xml"
    frame_skip: FrameSkip = 5
    forward_reward_weight: ForwardWeight = 1.0
    ctrl_cost_weight: ControlWeight = 0.1
    reset_noise_scale: ResetNoise = 0.1
    exclude_current_positions_from_observation: HidePosition = True


class HopperConfig(EnvConfig):
    """The `env` section of `hopper`."""

    xml_file: ModelFile = "hopper.xml"
    frame_skip: FrameSkip = 4
    forward_reward_weight: ForwardWeight = 1.0
    ctrl_cost_weight: ControlWeight = 1e-3
    healthy_reward: HealthyReward = 1.0
    terminate_when_unhealthy: Termination = True
    healthy_state_range: Range = (-100.0, 100.0)
    """Values of all that is observed after the height at which the robot is up."""
    healthy_z_range: HeightRange = (0.7, None)
    healthy_angle_range: AngleRange = (-0.2, 0.2)
    reset_noise_scale: ResetNoise = 5e-3
    exclude_current_positions_from_observation: HidePosition = True


class Walker2dConfig(EnvConfig):
    """The `env` section of `walker2d`."""

    xml_file: ModelFile = "walker2d_v5.xml"
    frame_skip: FrameSkip = 4
    forward_reward_weight: ForwardWeight = 1.0
    ctrl_cost_weight: ControlWeight = 1e-3
    healthy_reward: HealthyReward = 1.0
    terminate_when_unhealthy: Termination = True
    healthy_z_range: HeightRange = (0.8, 2.0)
    healthy_angle_range: AngleRange = (-1.0, 1.0)
    reset_noise_scale: ResetNoise = 5e-3
    exclude_current_positions_from_observation: HidePosition = True


class AntConfig(EnvConfig):
    """The `env` section of `ant`."""

    xml_file: ModelFile = "ant.xml"
    frame_skip: FrameSkip = 5
    forward_reward_weight: ForwardWeight = 1.0
    ctrl_cost_weight: ControlWeight = 0.5
    contact_cost_weight: ContactWeight = 5e-4
    healthy_reward: HealthyReward = 1.0
    main_body: int | str = 1
    """Name or number of the body whose speed is rewarded."""
    terminate_when_unhealthy: Termination = True
    healthy_z_range: HeightRange = (0.2, 1.0)
    contact_force_range: Range = (-1.0, 1.0)
    """Contact forces are clipped to it, in the observation and in what they cost."""
    reset_noise_scale: ResetNoise = 0.1
    exclude_current_positions_from_observation: HidePosition = True
    include_cfrc_ext_in_observation: ForcesSeen = True


class SeenByHumanoid(EnvConfig):
    """What a humanoid observes beside joints and their speeds."""

    exclude_current_positions_from_observation: HidePosition = True
    include_cinert_in_observation: bool = True
    """Show mass and inertia of each body about the centre of mass (cinert)."""
    include_cvel_in_observation: bool = True
    """Show the velocity of each body about the centre of mass (cvel)."""
    include_qfrc_actuator_in_observation: bool = True
    """Show the force of the motors on each joint (qfrc_actuator)."""
    include_cfrc_ext_in_observation: ForcesSeen = True


class HumanoidConfig(SeenByHumanoid):
    """The `env` section of `humanoid`."""

    xml_file: ModelFile = "humanoid.xml"
    frame_skip: FrameSkip = 5
    forward_reward_weight: ForwardWeight = 1.25
    ctrl_cost_weight: ControlWeight = 0.1
    contact_cost_weight: ContactWeight = 5e-7
    contact_cost_range: Range = (None, 10.0)
    """What contact forces cost is clipped to it."""
    healthy_reward: HealthyReward = 5.0
    terminate_when_unhealthy: Termination = True
    healthy_z_range: HeightRange = (1.0, 2.0)
    reset_noise_scale: ResetNoise = 1e-2


class HumanoidStandupConfig(SeenByHumanoid):
    """The `env` section of `humanoid-standup`."""

    xml_file: ModelFile = "humanoidstandup.xml"
    frame_skip: FrameSkip = 5
    uph_cost_weight: float = 1.0
    """Weight of the height of the head over time in the reward."""
    ctrl_cost_weight: ControlWeight = 0.1
    impact_cost_weight: ContactWeight = 0.5e-6
    impact_cost_range: Range = (None, 10.0)
    """What contact forces cost is clipped to it."""
    reset_noise_scale: ResetNoise = 1e-2


class SwimmerConfig(EnvConfig):
    """The `env` section of `swimmer`."""

    xml_file: ModelFile = "swimmer.xml"
    frame_skip: FrameSkip = 4
    forward_reward_weight: ForwardWeight = 1.0
    ctrl_cost_weight: ControlWeight = 1e-4
    reset_noise_scale: ResetNoise = 0.1
    exclude_current_positions_from_observation: HidePosition = True


class ReacherConfig(EnvConfig):
    """The `env` section of `reacher`."""

    xml_file: ModelFile = "reacher.xml"
    frame_skip: FrameSkip = 2
    reward_dist_weight: float = 1.0
    """Weight of the distance of the tip from its goal, which costs reward."""
    reward_control_weight: ControlWeight = 1.0


class PusherConfig(EnvConfig):
    """The `env` section of `pusher`."""

    xml_file: ModelFile = "pusher_v5.xml"
    frame_skip: FrameSkip = 5
    reward_near_weight: float = 0.5
    """Weight of the distance of the tip from the cylinder, which costs reward."""
    reward_dist_weight: float = 1.0
    """Weight of the distance of the cylinder from its goal, which costs reward."""
    reward_control_weight: ControlWeight = 0.1


class InvertedPendulumConfig(EnvConfig):
    """The `env` section of `inverted-pendulum`."""

    xml_file: ModelFile = "inverted_pendulum.xml"
    frame_skip: FrameSkip = 2
    reset_noise_scale: ResetNoise = 0.01


class InvertedDoublePendulumConfig(EnvConfig):
    """The `env` section of `inverted-double-pendulum`."""

    xml_file: ModelFile = "inverted_double_pendulum.xml"
    frame_skip: FrameSkip = 5
    healthy_reward: HealthyReward = 10.0
    reset_noise_scale: ResetNoise = 0.1
