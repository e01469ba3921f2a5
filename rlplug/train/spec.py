"""What rlplug registers as trainers. No torch here."""

from __future__ import annotations

from rlplug.specs import TrainerSpec

OFF_POLICY = TrainerSpec(
    name="off-policy",
    summary="Collects into a replay and updates at a fixed rate per environment step",
    config="rlplug.train.config:OffPolicyConfig",
    trainer="rlplug.train.off_policy:OffPolicyTrainer",
    replay_config="rlplug.replay.config:ReplayConfig",
)

ON_POLICY = TrainerSpec(
    name="on-policy",
    summary="Collects rollouts with the newest weights, learns from each and throws it away",
    config="rlplug.train.config:OnPolicyConfig",
    trainer="rlplug.train.on_policy:OnPolicyTrainer",
)
