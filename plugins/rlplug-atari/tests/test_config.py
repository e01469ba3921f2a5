"""Protocols, and what reaches the games of the settings."""

from __future__ import annotations

import pytest

from rlplug.envs.make import make_env, make_vector
from rlplug.errors import ConfigError
from rlplug.resolve import resolve
from rlplug_atari.config import PROTOCOLS, AtariConfig
from rlplug_atari.plugin import environment
from rlplug_atari.single import Game

PONG = environment("pong")
VALUE_FAMILY = ["dqn", "double-dqn", "c51", "qr-dqn", "iqn", "m-dqn", "rainbow"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_sets_settings_that_exist(protocol):
    config = AtariConfig(protocol=protocol)
    assert config.model_dump().items() >= PROTOCOLS[protocol].items()


def test_a_protocol_wins_over_a_preset_and_loses_to_what_is_set_beside_it():
    resolved = resolve(
        "m-dqn",
        "pong",
        overrides=[("env.sticky_actions", "0.1"), ("env.protocol", "mnih-2015")],
    )
    env = resolved.config.env
    assert (env.max_noop_frames, env.episodic_life, env.max_frames) == (30, True, 18_000)
    assert env.sticky_actions == 0.1
    assert resolved.layers["env.max_noop_frames"] == "command line"


@pytest.mark.parametrize("algorithm", [*VALUE_FAMILY, "ppo", "a2c"])
def test_every_game_has_a_preset_that_clips_rewards_for_learning_alone(algorithm):
    resolved = resolve(algorithm, "ALE/SpaceInvaders-v5")
    assert "et al." in resolved.preset.source
    section = resolved.config.replay or resolved.config.agent
    assert section.reward.clip == 1
    network = resolved.config.agent.network
    widths = network.hidden_sizes if algorithm in VALUE_FAMILY else network.trunk_sizes
    assert widths == (512,)
    assert resolved.config.train.steps == 10_000_000


def test_presets_are_those_of_their_papers():
    dqn = resolve("dqn", "pong").config
    assert dqn.replay.capacity == 1_000_000
    assert dqn.agent.exploration.evaluation_epsilon == 0.05
    assert dqn.train.updates_per_env_step == 0.25
    rainbow = resolve("rainbow", "pong").config
    assert (rainbow.replay.n_step, rainbow.replay.sampler.priority_exponent) == (3, 0.5)
    assert rainbow.agent.network.dueling
    assert rainbow.agent.exploration.kind == "noisy"
    assert resolve("m-dqn", "pong").config.env.sticky_actions == 0.25
    ppo = resolve("ppo", "pong").config
    assert (ppo.launch.total_envs, ppo.train.rollout_length, ppo.agent.batch_size) == (8, 128, 256)
    assert resolve("dqn", "pong", preset="zoo").config.replay.capacity == 100_000
    short = resolve("ppo", "pong", preset="short").config
    assert (short.agent.batch_size, short.agent.epochs, short.train.steps) == (32, 3, 1_000_000)


def test_settings_that_do_not_exist_are_named():
    with pytest.raises(ConfigError, match=r"env\.kwargs: sticky_action: Extra inputs"):
        make_vector(PONG, AtariConfig(kwargs={"sticky_action": 1}), 1)
    with pytest.raises(ConfigError, match=r"env\.sticky_action"):
        resolve("dqn", "pong", overrides=[("env.sticky_action", "1")])


def settled(monkeypatch, config, **arguments):
    """The settings that reach the games."""
    seen = []
    monkeypatch.setattr(
        "rlplug_atari.native.NativeGames", lambda game, num_envs, config: seen.append(config)
    )
    make_vector(PONG, config.model_copy(update={"vectorize": "auto"}), 1, **arguments).close()
    return seen[0]


def test_evaluation_plays_whole_games_and_without_noise_where_asked(monkeypatch):
    noisy = AtariConfig(sticky_actions=0.25)
    trained, evaluated = (settled(monkeypatch, noisy, evaluation=each) for each in (False, True))
    assert (trained.episodic_life, evaluated.episodic_life) == (True, False)
    assert (evaluated.sticky_actions, evaluated.max_noop_frames) == (0.25, 30)
    noise_free = AtariConfig(sticky_actions=0.25, noise_free_evaluation=True)
    trained, evaluated = (settled(monkeypatch, noise_free, evaluation=e) for e in (False, True))
    assert (trained.sticky_actions, trained.max_noop_frames) == (0.25, 30)
    assert (evaluated.sticky_actions, evaluated.max_noop_frames) == (0.0, 0)


def test_a_limit_in_steps_is_one_in_frames(monkeypatch):
    assert settled(monkeypatch, AtariConfig(max_episode_steps=100)).max_frames == 400
    assert settled(monkeypatch, AtariConfig(max_episode_steps=99_999)).max_frames == 108_000


def test_what_the_native_form_cannot_do_is_played_by_single_games():
    for config, arguments in (
        (AtariConfig(game_mode=1), {}),
        (AtariConfig(difficulty=1), {}),
        (AtariConfig(), {"render_mode": "rgb_array"}),
    ):
        vector = make_vector(PONG, config, 1, **arguments)
        (env,) = vector.envs
        assert isinstance(env.unwrapped, Game)
        vector.close()


def test_a_game_can_be_drawn_in_colour_at_full_size():
    env = make_env(PONG, AtariConfig(), render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((210, 160, 3), "uint8")
    assert picture.any()
    env.close()


def test_full_action_space_has_all_eighteen():
    for config in (AtariConfig(full_action_space=True), AtariConfig()):
        vector, env = make_vector(PONG, config, 1), make_env(PONG, config)
        assert vector.single_action_space.n == env.action_space.n
        assert env.action_space.n == (18 if config.full_action_space else 6)
        vector.close()
        env.close()
