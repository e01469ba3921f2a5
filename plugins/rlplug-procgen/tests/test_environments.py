"""The adapter beside Procgen's own interface: the same games, and what Procgen does not tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from rlplug.errors import ConfigError
from rlplug_procgen import environments, game_state, simulator
from rlplug_procgen.environments import END_EPISODE, ProcgenVectorEnv, make, make_vector
from rlplug_procgen.games import GAMES

TIME_LIMITS = dict.fromkeys(GAMES, 1000) | {
    "bigfish": 6000, "bossfight": 4000, "leaper": 500, "maze": 500, "plunder": 4000,
}  # fmt: skip
STAY = 4


def actions(steps: int, num_envs: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(15, size=(steps, num_envs))


def bare(num: int, game: str, rand_seed: int, **options: Any) -> Any:
    """Procgen's own environment."""
    options = {"distribution_mode": "easy", "num_levels": 200, "num_threads": 0} | options
    return simulator.load()(num=num, env_name=game, rand_seed=rand_seed, **options)


@pytest.fixture
def build() -> Any:
    built: list[ProcgenVectorEnv] = []

    def make_one(num_envs: int, game: str, **options: Any) -> ProcgenVectorEnv:
        built.append(make_vector(num_envs, game, **({"num_threads": 0} | options)))
        return built[-1]

    yield make_one
    for one in built:
        one.close()
        one.close()


def test_spaces_are_64_x_64_colour_and_15_actions(build: Any) -> None:
    env = build(3, "coinrun")
    assert env.single_observation_space == spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert env.single_action_space == spaces.Discrete(15)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observation, _ = env.reset(seed=0)
    assert observation.shape == (3, 64, 64, 3)
    assert observation.dtype == np.uint8
    assert env.observation_space.contains(observation)


@pytest.mark.parametrize("game", GAMES)
def test_it_plays_what_procgen_plays_by_itself(build: Any, game: str) -> None:
    env, alone = build(4, game), bare(4, game, rand_seed=7)
    observation, _ = env.reset(seed=7)
    assert np.array_equal(observation, alone.observe()[1]["rgb"])
    ended = 0
    for action in actions(150, 4):
        observation, reward, terminated, truncated, _ = env.step(action)
        alone.act(action)
        expected_reward, expected, first = alone.observe()
        assert np.array_equal(observation, expected["rgb"])
        assert np.array_equal(reward, expected_reward)
        assert np.array_equal(terminated | truncated, first)
        ended += np.count_nonzero(first)
    alone.close()
    assert ended or game not in {"bossfight", "chaser", "dodgeball", "fruitbot", "leaper", "maze"}


@pytest.mark.parametrize("game", GAMES)
def test_a_games_time_limit_is_read_from_its_state_and_moves_nothing_else(game: str) -> None:
    one, other = (bare(2, game, rand_seed=3) for _ in range(2))
    one.observe()
    for index in range(2):
        state = game_state.read(other, index)
        assert game_state.time_limit(state) == TIME_LIMITS[game]
        longer = game_state.with_time_limit(state, 2**31 - 1)
        assert game_state.time_limit(longer) == 2**31 - 1
        assert len(longer) == len(state)
        game_state.write(other, index, longer)
    for action in actions(60, 2):
        one.act(action)
        other.act(action)
        (reward, shown, over), (other_reward, other_shown, other_over) = (
            one.observe(),
            other.observe(),
        )
        assert np.array_equal(shown["rgb"], other_shown["rgb"])
        assert np.array_equal(reward, other_reward)
        assert np.array_equal(over, other_over)
    one.close()
    other.close()


@pytest.mark.parametrize(("game", "limit"), [("coinrun", 1000), ("maze", 500)])
def test_a_games_own_time_limit_truncates_and_shows_the_true_last_observation(
    build: Any, game: str, limit: int
) -> None:
    env, unlimited = build(2, game), bare(2, game, rand_seed=5)
    for index in range(2):
        longer = game_state.with_time_limit(game_state.read(unlimited, index), 2**31 - 1)
        game_state.write(unlimited, index, longer)
    env.reset(seed=5)
    still = np.full(2, STAY)
    for _ in range(limit - 1):
        _, _, terminated, truncated, info = env.step(still)
        assert not (terminated | truncated).any()
        assert info == {}
        unlimited.act(still)
    observation, _, terminated, truncated, info = env.step(still)
    unlimited.act(still)
    _, shown, over = unlimited.observe()
    assert not over.any()
    assert truncated.all()
    assert not terminated.any()
    for index in range(2):
        assert np.array_equal(info["final_obs"][index], shown["rgb"][index])
        assert not np.array_equal(info["final_obs"][index], observation[index])
    unlimited.close()


def first_death(build: Any, seed: int) -> tuple[int, int]:
    """Step and index of the first episode that ends when bossfight is played at random."""
    env = build(4, "bossfight")
    env.reset(seed=seed)
    for step, action in enumerate(actions(200, 4), start=1):
        *_, terminated, _, _ = env.step(action)
        if terminated.any():
            return step, int(np.flatnonzero(terminated)[0])
    raise AssertionError("nothing ended")


def test_an_end_in_the_very_step_of_the_time_limit_is_an_end(build: Any) -> None:
    step, index = first_death(build, seed=1)
    outcomes = {}
    for limit in (step - 1, step, step + 1):
        env = build(4, "bossfight", max_episode_steps=limit)
        env.reset(seed=1)
        for number, action in enumerate(actions(limit, 4), start=1):
            _, _, terminated, truncated, _ = env.step(action)
            if (terminated | truncated)[index]:
                outcomes[limit] = (number, bool(terminated[index]), bool(truncated[index]))
                break
        if limit == step:  # those beside it were cut by the limit
            assert truncated.sum() == 3
    assert outcomes == {
        step - 1: (step - 1, False, True),
        step: (step, True, False),
        step + 1: (step, True, False),
    }


def test_the_last_observation_of_a_terminated_episode_is_the_one_before_its_end(build: Any) -> None:
    env = build(4, "bossfight")
    before, _ = env.reset(seed=1)
    for action in actions(200, 4):
        observation, _, terminated, _, info = env.step(action)
        if terminated.any():
            break
        before = observation
    for index in range(4):
        if terminated[index]:
            assert np.array_equal(info["final_obs"][index], before[index])
        else:
            assert info["final_obs"][index] is None
    assert np.array_equal(info["_final_obs"], terminated)


def test_a_time_limit_of_ones_own_holds_in_every_episode(build: Any) -> None:
    env = build(3, "coinrun", max_episode_steps=7)
    env.reset(seed=0)
    still = np.full(3, STAY)
    cuts = [step for step in range(1, 30) if env.step(still)[3].all()]
    assert cuts == [7, 14, 21, 28]
    env.reset()
    assert [step for step in range(1, 16) if env.step(still)[3].all()] == [7, 14]


def test_a_completed_level_begins_the_time_limit_anew_where_levels_follow_each_other(
    build: Any,
) -> None:
    limit, num = 60, 8
    options = {"use_sequential_levels": True}
    env = build(num, "coinrun", max_episode_steps=limit, **options)
    env.reset(seed=3)
    alone = bare(num, "coinrun", rand_seed=3, **options)
    for index in range(num):
        shorter = game_state.with_time_limit(game_state.read(alone, index), limit)
        game_state.write(alone, index, shorter)
    rng, since, paid = np.random.default_rng(0), np.zeros(num, int), np.zeros(num)
    completed = cut = 0
    for _ in range(300):
        action = np.where(rng.random(num) < 0.5, 8, 7)  # to the right, jumping or not
        _, reward, terminated, truncated, _ = env.step(action)
        alone.act(action)
        first = alone.observe()[2]
        assert np.array_equal(terminated | truncated, first)
        since += 1
        assert np.all(since[truncated] == limit)
        assert np.all(since[terminated] <= limit)
        done = np.array([info["prev_level_complete"] == 1 for info in alone.get_info()])
        completed += np.count_nonzero(done & ~first)
        cut += np.count_nonzero(truncated)
        paid += reward
        since[done | first] = 0
    alone.close()
    assert completed > 5
    assert cut > 5


def test_levels_are_those_that_were_asked_for(build: Any) -> None:
    def played(**options: Any) -> set[int]:
        env = build(16, "bossfight", **options)
        env.reset(seed=0)
        seeds = set(env.level_seeds().tolist())
        for action in actions(80, 16):
            env.step(action)
            seeds |= set(env.level_seeds().tolist())
        return seeds

    assert played(num_levels=5, start_level=100) == set(range(100, 105))
    protocol = played()
    assert protocol <= set(range(200))
    assert len(protocol) > 20
    assert max(played(num_levels=0)) > 2**20
    assert played(distribution_mode="hard") <= set(range(500))


def test_the_exploration_level_is_one_and_the_same(build: Any) -> None:
    env = build(4, "maze", distribution_mode="exploration")
    first, _ = env.reset(seed=0)
    second, _ = env.reset(seed=1)
    assert np.array_equal(first, second)
    assert len(set(env.level_seeds().tolist())) == 1


@pytest.mark.parametrize("game", GAMES)
def test_every_mode_of_a_game_can_be_played(build: Any, game: str) -> None:
    for mode in ("easy", "hard", *GAMES[game].more_modes):
        env = build(1, game, distribution_mode=mode)
        first, _ = env.reset(seed=0)
        following, reward, *_ = env.step(np.zeros(1, np.int64))
        assert first.shape == following.shape == (1, 64, 64, 3)
        assert np.isfinite(reward).all()


@pytest.mark.parametrize(
    ("game", "changed"),
    [
        ("coinrun", {"use_backgrounds": False}),
        ("coinrun", {"paint_vel_info": True}),
        ("coinrun", {"center_agent": False}),
        ("coinrun", {"use_monochrome_assets": True}),
        ("coinrun", {"restrict_themes": True}),
        ("coinrun", {"distribution_mode": "hard", "num_levels": 200}),
        ("coinrun", {"start_level": 1000}),
        ("coinrun", {"num_levels": 50}),
    ],
)
def test_an_option_changes_what_is_seen(build: Any, game: str, changed: dict[str, Any]) -> None:
    plain, _ = build(16, game).reset(seed=2)
    other, _ = build(16, game, **changed).reset(seed=2)
    assert not np.array_equal(plain, other)


@pytest.mark.parametrize(
    ("cores", "num_envs", "threads"), [(2, 8, 0), (2, 15, 0), (2, 16, 2), (16, 64, 4)]
)
def test_a_few_games_take_no_threads_and_many_one_for_each_core(
    monkeypatch, cores, num_envs, threads
):
    monkeypatch.setattr(environments.os, "sched_getaffinity", lambda _: set(range(cores)))
    assert environments._threads_for(num_envs) == threads


def test_threads_change_nothing(build: Any) -> None:
    none, three = build(5, "starpilot", num_threads=0), build(5, "starpilot", num_threads=3)
    assert np.array_equal(none.reset(seed=0)[0], three.reset(seed=0)[0])
    for action in actions(100, 5):
        for left, right in zip(none.step(action)[:4], three.step(action)[:4], strict=True):
            assert np.array_equal(left, right)


def test_a_seed_brings_the_same_levels_back_and_none_goes_on(build: Any) -> None:
    env = build(8, "caveflyer")
    first, _ = env.reset(seed=4)
    seeds = env.level_seeds()
    second, _ = env.reset()
    assert not np.array_equal(seeds, env.level_seeds())
    assert not np.array_equal(first, second)
    again, _ = env.reset(seed=4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, env.reset(seed=5)[0])


def test_a_reset_in_the_middle_begins_episodes_of_full_length(build: Any) -> None:
    env = build(2, "coinrun", max_episode_steps=10)
    env.reset(seed=0)
    still = np.full(2, STAY)
    for _ in range(6):
        env.step(still)
    env.reset()
    assert [bool(env.step(still)[3].any()) for _ in range(10)] == [False] * 9 + [True]


@pytest.mark.parametrize("game", GAMES)
def test_a_state_brings_the_very_episodes_back(build: Any, game: str) -> None:
    before, after = actions(25, 3, seed=1), actions(60, 3, seed=2)
    env = build(3, game, max_episode_steps=40)
    env.reset(seed=9)
    for action in before:
        env.step(action)
    state = env.get_state()
    expected = [env.step(action) for action in after]
    resumed = build(3, game, max_episode_steps=40)
    resumed.reset(seed=10)
    resumed.set_state(state)
    for action, (observation, reward, terminated, truncated, info) in zip(
        after, expected, strict=True
    ):
        got = resumed.step(action)
        assert np.array_equal(got[0], observation)
        assert np.array_equal(got[1], reward)
        assert np.array_equal(got[2], terminated)
        assert np.array_equal(got[3], truncated)
        for index in np.flatnonzero(terminated | truncated):
            assert np.array_equal(got[4]["final_obs"][index], info["final_obs"][index])
    assert any(step[3].any() for step in expected)  # a time limit lies between


def test_a_state_is_plain_arrays(build: Any) -> None:
    env = build(2, "heist")
    env.reset(seed=0)
    state = env.get_state()
    assert [game.dtype for game in state["games"]] == [np.dtype(np.uint8)] * 2
    assert state["level_steps"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("game", "options", "message"),
    [
        (
            "coinrun",
            {"distribution_mode": "extreme"},
            "coinrun has no 'extreme' levels; it has: easy",
        ),
        ("maze", {"distribution_mode": "exploration", "num_levels": 3}, "exploration is one level"),
        ("maze", {"num_levels": 0, "start_level": 3}, "no meaning where all levels are played"),
        ("maze", {"num_levels": 9, "start_level": 2**31 - 5}, "the last level is 2147483647"),
        ("maze", {"num_level": 3}, "procgen/maze takes no num_level; it takes: .*num_levels"),
        ("maze", {"num_levels": "many"}, r"env\.kwargs\.num_levels: 'many' will not do"),
        ("maze", {"render_mode": "human"}, "opens no window"),
    ],
)
def test_what_cannot_be_played_is_refused_before_the_simulator_sees_it(
    game: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_vector(1, game, **options)


def test_a_single_game_waits_for_its_reset() -> None:
    env = make("bossfight")
    observation, _ = env.reset(seed=1)
    assert observation.shape == (64, 64, 3)
    vector = make_vector(1, "bossfight")
    vector.reset(seed=1)
    for (action,) in actions(200, 1):
        before = observation
        observation, reward, terminated, truncated, _ = env.step(action)
        observations, rewards, *_ = vector.step(np.array([action]))
        assert reward == rewards[0]
        if terminated:
            break
        assert np.array_equal(observation, observations[0])
    assert terminated
    assert not truncated
    assert np.array_equal(observation, before)
    assert np.array_equal(env.reset()[0], observations[0])  # the episode that has begun already
    assert not np.array_equal(env.reset()[0], observations[0])
    env.close()
    vector.close()


def test_a_single_game_continues_from_its_state() -> None:
    env, other = make("bossfight"), make("bossfight")
    env.reset(seed=1)
    other.reset(seed=2)
    for (action,) in actions(200, 1):
        if env.step(action)[2]:
            break
    other.set_state(env.get_state())
    assert np.array_equal(env.reset()[0], other.reset()[0])
    for (action,) in actions(50, 1, seed=3):
        assert np.array_equal(env.step(action)[0], other.step(action)[0])
    env.close()
    other.close()


def test_frames_for_videos_are_large_and_those_of_the_running_episode() -> None:
    env = make("bossfight", render_mode="rgb_array")
    env.reset(seed=1)
    frame = env.render()
    assert frame.shape == (512, 512, 3)
    assert frame.dtype == np.uint8
    for (action,) in actions(200, 1):
        last = env.render()
        if env.step(action)[2]:
            break
    assert np.array_equal(env.render(), last)  # not the next level
    env.reset()
    assert not np.array_equal(env.render(), last)
    env.close()


def test_the_action_that_ends_an_episode_is_none_of_the_games() -> None:
    assert END_EPISODE not in range(15)
