"""Every pair has a preset whose source is named, and it resolves to what the source says."""

from __future__ import annotations

import pytest

from rlplug.registry import discovery
from rlplug.resolve import resolve

ALGORITHMS = ("sac", "td3", "ddpg", "ppo", "a2c")
LONG_RANDOM_PHASE = {"halfcheetah", "ant"}
GAMMA = {"swimmer": 0.9999}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_preset_resolves_and_names_its_source(algorithm, spec):
    found = discovery.presets(algorithm, spec.name)
    assert [preset.name for preset in found][:1] == ["default"]
    for preset in found:
        resolved = resolve(algorithm, spec.name, preset=preset.name)
        assert resolved.preset == preset
        assert "arXiv:" in preset.source or "RL Baselines3 Zoo" in preset.source


def test_a_gymnasium_id_gets_the_preset_too():
    assert resolve("sac", "HalfCheetah-v5").preset == resolve("sac", "halfcheetah").preset


def test_sac_is_table_1_of_its_paper(spec):
    config = resolve("sac", spec.name).config
    agent = config.agent
    assert agent.network.hidden_sizes == (256, 256)
    assert agent.actor_optimizer == agent.critic_optimizer
    assert (agent.actor_optimizer.name, agent.actor_optimizer.learning_rate) == ("adam", 3e-4)
    assert agent.temperature.optimizer.learning_rate == 3e-4
    assert (agent.batch_size, agent.target_update_rate, agent.num_critics) == (256, 0.005, 2)
    assert agent.random_env_steps == (10_000 if spec.name in LONG_RANDOM_PHASE else 1_000)
    assert config.replay.capacity == 1_000_000
    assert config.replay.gamma == GAMMA.get(spec.name, 0.99)
    assert (config.train.collect_env_steps, config.train.updates_per_env_step) == (1, 1)


def test_td3_is_its_papers(spec):
    config = resolve("td3", spec.name).config
    agent = config.agent
    assert agent.network.hidden_sizes == (400, 300)
    assert agent.actor_optimizer.learning_rate == agent.critic_optimizer.learning_rate == 1e-3
    assert (agent.batch_size, agent.target_update_rate) == (100, 0.005)
    assert agent.actor_update_every_updates == 2
    assert (agent.target_noise.scale, agent.target_noise.clip) == (0.2, 0.5)
    assert (agent.exploration.kind, agent.exploration.scale.value) == ("gaussian", 0.1)
    assert agent.random_env_steps == (10_000 if spec.name in LONG_RANDOM_PHASE else 1_000)


def test_ddpg_has_the_tuned_and_the_original_values(spec):
    tuned = resolve("ddpg", spec.name).config.agent
    assert tuned.actor_optimizer.learning_rate == tuned.critic_optimizer.learning_rate == 1e-3
    assert (tuned.num_critics, tuned.batch_size, tuned.target_update_rate) == (1, 100, 0.005)
    original = resolve("ddpg", spec.name, preset="original").config.agent
    assert original.actor_optimizer.learning_rate == 1e-4
    assert original.critic_optimizer.arguments == {"weight_decay": 0.01}
    assert (original.batch_size, original.target_update_rate) == (64, 0.001)
    assert original.exploration.kind == "ornstein-uhlenbeck"


def test_ppo_learns_from_2048_steps_as_in_table_3(spec):
    config = resolve("ppo", spec.name).config
    assert config.launch.total_envs * config.train.rollout_length == 2048
    agent = config.agent
    assert (agent.epochs, agent.batch_size) == (10, 64)
    assert agent.objective.clip_ratio.value == 0.2
    assert agent.advantage.lambda_ == 0.95
    assert agent.optimizer.learning_rate == 3e-4
    assert agent.gamma == GAMMA.get(spec.name, 0.99)


def test_a2c_is_the_zoos(spec):
    config = resolve("a2c", spec.name).config
    assert (config.launch.total_envs, config.train.rollout_length) == (1, 5)
    agent = config.agent
    assert (agent.optimizer.name, agent.optimizer.learning_rate) == ("rmsprop", 7e-4)
    assert agent.normalize_observations
    assert agent.normalize_rewards
    assert agent.gamma == GAMMA.get(spec.name, 0.99)
