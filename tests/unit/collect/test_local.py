import gymnasium
import numpy as np
import optree
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.collect.local import LocalCollector
from rlplug.data import EpisodeStats
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.sub_environment import SubEnvironmentMaker
from rlplug.protocols import PolicyContext, PolicyStep
from rlplug.seeding import Seeds, generator_state, set_generator_state
from rlplug.testing.scripted import Episode, ScriptedEnv, ScriptedPolicy

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED]
SHORT = [Episode((1.0, 2.0)), Episode((4.0,), "truncated"), Episode((8.0, 16.0, 32.0))]
LONG = [Episode((0.5,) * 5, "truncated")]


def scripted(*scripts, mode=AutoresetMode.SAME_STEP, **arguments):
    """An adapter over one scripted environment per script, and the environments."""
    vector = SyncVectorEnv(
        [lambda script=script: ScriptedEnv(script, **arguments) for script in scripts],
        autoreset_mode=mode,
    )
    return StepAdapter(vector, name="scripted"), vector.envs


def context(adapter, **arguments):
    return PolicyContext(
        adapter.observation_space,
        adapter.action_space,
        np.arange(adapter.num_envs),
        adapter.num_envs,
        1000,
        Seeds(0),
        **arguments,
    )


def collector_of(adapter, policy=None, **arguments):
    policy = policy or ScriptedPolicy(None, context(adapter))
    streams = np.arange(adapter.num_envs) + 10
    return LocalCollector(adapter, policy, streams=streams, seeds=Seeds(0), **arguments)


def transitions(rollouts):
    """By stream: (observation, action, reward, terminated, over, next observation, age)."""
    streams = {}
    for rollout in rollouts:
        finals = {
            tuple(at): obs
            for at, obs in zip(rollout.final_steps.tolist(), rollout.final_observation, strict=True)
        }
        following = np.concatenate((rollout.observation[1:], rollout.next_observation[None]))
        for t, n in np.argwhere(rollout.valid).tolist():
            streams.setdefault(int(rollout.streams[n]), []).append(
                (
                    rollout.observation[t, n].tolist(),
                    rollout.reward[t, n].item(),
                    rollout.terminated[t, n].item(),
                    rollout.episode_over[t, n].item(),
                    finals.get((t, n), following[t, n]).tolist(),
                    rollout.extras["age"][t, n].item(),
                )
            )
    return streams


def test_a_rollout_holds_what_was_worked_out_by_hand():
    adapter, _ = scripted(SHORT, LONG)
    actions = np.array([[0, 1], [1, 1], [0, 0]])
    collector = collector_of(adapter, ScriptedPolicy(None, context(adapter), actions))
    (rollout,) = collector.collect(8)
    # observation: [resets so far, steps in the episode]
    assert rollout.observation.tolist() == [
        [[1, 0], [1, 0]],
        [[1, 1], [1, 1]],
        [[2, 0], [1, 2]],
        [[3, 0], [1, 3]],
    ]
    assert rollout.observation.dtype == np.float32
    assert rollout.action.tolist() == [[0, 1], [1, 1], [0, 0], [0, 1]]
    assert rollout.reward.tolist() == [[1, 0.5], [2, 0.5], [4, 0.5], [8, 0.5]]
    assert rollout.reward.dtype == np.float32
    assert rollout.terminated.tolist() == [[0, 0], [1, 0], [0, 0], [0, 0]]
    assert rollout.episode_over.tolist() == [[0, 0], [1, 0], [1, 0], [0, 0]]
    assert rollout.valid.all()
    assert rollout.extras["age"].tolist() == [[0, 0], [1, 1], [0, 2], [0, 3]]
    assert rollout.next_observation.tolist() == [[3, 1], [1, 4]]
    assert rollout.final_steps.tolist() == [[1, 0], [2, 0]]
    assert rollout.final_observation.tolist() == [[1, 2], [2, 1]]
    assert rollout.streams.tolist() == [10, 11]
    assert (rollout.env_steps, rollout.num_env_steps, collector.env_steps) == (8, 8, 8)
    assert rollout.episodes == (EpisodeStats(10, 3.0, 2, 4), EpisodeStats(10, 4.0, 1, 6))


def test_the_next_rollout_begins_where_the_last_one_ended():
    adapter, _ = scripted(SHORT, LONG)
    collector = collector_of(adapter)
    collector.collect(8)
    (rollout,) = collector.collect(4)
    assert rollout.observation[0].tolist() == [[3, 1], [1, 4]]
    assert rollout.reward.tolist() == [[16, 0.5], [32, 0.5]]
    assert rollout.final_steps.tolist() == [[0, 1], [1, 0]]
    assert rollout.final_observation.tolist() == [[1, 5], [3, 3]]
    assert rollout.episodes == (EpisodeStats(11, 2.5, 5, 10), EpisodeStats(10, 56.0, 3, 12))


def test_without_an_ended_episode_the_final_observations_are_empty_and_shaped():
    adapter, _ = scripted(LONG)
    (rollout,) = collector_of(adapter).collect(2)
    assert rollout.final_steps.shape == (0, 2)
    assert rollout.final_steps.dtype == np.int64
    assert rollout.final_observation.shape == (0, 2)
    assert rollout.final_observation.dtype == np.float32


def test_the_three_autoreset_modes_give_equal_transitions_and_episodes():
    by_mode = []
    for mode in MODES:
        adapter, _ = scripted(SHORT, LONG, [Episode((1.0,))], mode=mode)
        collector = collector_of(adapter)
        rollouts = [rollout for _ in range(30) for rollout in collector.collect(5)]
        streams = {stream: rows[:30] for stream, rows in transitions(rollouts).items()}
        episodes = {
            stream: [e[1:3] for r in rollouts for e in r.episodes if e.stream == stream][:8]
            for stream in (10, 11, 12)
        }
        assert all(len(rows) == 30 for rows in streams.values())
        assert len(episodes[10]) == 8
        by_mode.append((streams, episodes))
    assert by_mode[0] == by_mode[1]
    assert by_mode[0] == by_mode[2]


@pytest.mark.parametrize("mode", MODES)
def test_env_steps_count_transitions_and_no_resets(mode):
    adapter, _ = scripted([Episode((1.0,))], [Episode((1.0,))], mode=mode)
    collector = collector_of(adapter)
    for wanted in (1, 4, 7):
        before = collector.env_steps
        (rollout,) = collector.collect(wanted)
        assert rollout.num_env_steps == collector.env_steps - before
        assert wanted <= rollout.num_env_steps < wanted + 2
        assert rollout.env_steps == collector.env_steps


def test_under_next_step_collecting_goes_on_past_the_rows_that_only_reset():
    adapter, _ = scripted([Episode((1.0,))], mode=AutoresetMode.NEXT_STEP)
    (rollout,) = collector_of(adapter).collect(5)
    assert rollout.valid[:, 0].tolist() == [True, False] * 4 + [True]
    assert rollout.reward[:, 0].tolist() == [1.0, 0.0] * 4 + [1.0]
    assert len(rollout.episodes) == 5


def test_whole_vector_steps_are_collected():
    adapter, _ = scripted(LONG, LONG, LONG)
    collector = collector_of(adapter)
    assert collector.collect(7)[0].reward.shape == (3, 3)
    assert collector.env_steps == 9


def test_the_policy_is_told_the_steps_before_each_of_its_actions():
    adapter, _ = scripted(LONG, LONG)
    policy = ScriptedPolicy(None, context(adapter))
    collector = collector_of(adapter, policy)
    collector.collect(4)
    collector.collect(2)
    assert policy.progress == [0, 2, 4]


def test_bounded_box_actions_are_stored_as_chosen_and_clipped_for_the_environment():
    box = spaces.Box(-1.0, np.array([0.5, 9.0], np.float32), dtype=np.float32)
    adapter, (env,) = scripted(LONG, action_space=box)
    chosen = np.array([[[-3.0, 3.0]], [[2.0, 0.25]]], np.float32)
    collector = collector_of(adapter, ScriptedPolicy(None, context(adapter), chosen))
    (rollout,) = collector.collect(2)
    assert rollout.action.tolist() == [[[-3.0, 3.0]], [[2.0, 0.25]]]
    assert np.array(env.actions).tolist() == [[-1.0, 3.0], [0.5, 0.25]]


def test_discrete_actions_reach_the_environment_in_its_own_terms():
    adapter, (env,) = scripted(LONG, action_space=spaces.Discrete(2, start=7))
    chosen = np.array([[8], [7]])
    (rollout,) = collector_of(adapter, ScriptedPolicy(None, context(adapter), chosen)).collect(2)
    assert rollout.action.tolist() == [[8], [7]]
    assert [int(action) for action in env.actions] == [8, 7]


def test_dict_observations_are_collected_leaf_by_leaf():
    adapter, _ = scripted(SHORT, dict_observation=True)
    (rollout,) = collector_of(adapter).collect(3)
    assert rollout.observation["clock"][:, 0].tolist() == [[1, 0], [1, 1], [2, 0]]
    assert rollout.observation["odd"][:, 0].tolist() == [0, 1, 0]
    assert rollout.final_observation["clock"].tolist() == [[1, 2], [2, 1]]
    assert rollout.final_observation["odd"].tolist() == [0, 1]
    assert rollout.next_observation["clock"].tolist() == [[3, 0]]


def test_a_rollout_owns_its_data():
    vector = SyncVectorEnv(
        [lambda: ScriptedEnv(SHORT)], copy=False, autoreset_mode=AutoresetMode.SAME_STEP
    )  # hands out one observation buffer again and again
    collector = collector_of(StepAdapter(vector, name="scripted"))
    (first,) = collector.collect(3)
    before = optree.tree_map(np.array, first._asdict())
    collector.collect(5)
    assert first.observation.tolist() == [[[1, 0]], [[1, 1]], [[2, 0]]]
    for name in ("observation", "next_observation", "final_observation", "reward", "action"):
        assert np.array_equal(getattr(first, name), before[name])


def test_rollouts_carry_the_version_of_the_weights_that_acted():
    adapter, _ = scripted(LONG)
    collector = collector_of(adapter)
    versions = [collector.collect(1)[0].weights_version]
    collector.set_weights(pytest.fail, 7)  # shared live: nobody asks for them
    versions.append(collector.collect(1)[0].weights_version)
    assert versions == [0, 7]


def test_a_policy_with_weights_of_its_own_is_given_the_new_ones():
    adapter, _ = scripted(LONG)
    policy = ScriptedPolicy(None, context(adapter))
    collector_of(adapter, policy, live_weights=False).set_weights(lambda: {"w": 1}, 1)
    assert policy.weights == {"w": 1}


def test_it_can_be_closed_twice_and_closes_its_environments_once(monkeypatch):
    adapter, (env,) = scripted(LONG)
    closed = []
    monkeypatch.setattr(env, "close", lambda: closed.append(env))
    collector = collector_of(adapter)
    collector.close()
    collector.close()
    assert closed == [env]


def test_nonsense_is_refused():
    adapter, _ = scripted(LONG)
    with pytest.raises(ValueError, match="ask for at least one"):
        collector_of(adapter).collect(0)
    with pytest.raises(ValueError, match="2 entries for 1 environments"):
        LocalCollector(
            adapter,
            ScriptedPolicy(None, context(adapter)),
            streams=np.arange(2),
            seeds=Seeds(0),
        )


class DrawingPolicy:
    """Draws discrete actions, and its recurrent state drifts with what it sees."""

    def __init__(self, seeds):
        self.generator = seeds.numpy("policy")

    def act(self, observation, policy_state, *, mode):
        action = self.generator.integers(2, size=len(observation))
        state = {"sum": policy_state["sum"] + observation[:, :1]}
        return PolicyStep(action, state, {"sum": state["sum"]})

    def initial_state(self, num_envs):
        return {"sum": np.zeros((num_envs, 1), np.float32)}

    def reset(self, policy_state, which):
        return {"sum": np.where(which[:, None], np.float32(0), policy_state["sum"])}

    def set_progress(self, env_steps):
        pass

    def state_dict(self):
        return {"generator": generator_state(self.generator)}

    def load_state_dict(self, state):
        set_generator_state(self.generator, state["generator"])


def cartpoles(mode, seed):
    makers = [
        SubEnvironmentMaker(lambda: gymnasium.make("CartPole-v1"), "cartpole", i) for i in range(3)
    ]
    adapter = StepAdapter(SyncVectorEnv(makers, autoreset_mode=mode), name="cartpole")
    policy = DrawingPolicy(Seeds(seed))
    return LocalCollector(adapter, policy, streams=np.arange(3), seeds=Seeds(seed))


def assert_same_rollout(left, right):
    left, right = left._asdict(), right._asdict()
    assert left.pop("episodes") == right.pop("episodes")
    leaves, structure = optree.tree_flatten(left)
    others, other_structure = optree.tree_flatten(right)
    assert structure == other_structure
    for leaf, other in zip(leaves, others, strict=True):
        assert np.asarray(leaf).dtype == np.asarray(other).dtype
        assert np.array_equal(leaf, other)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("break_after", [None, 1, 25, 100])
def test_a_loaded_collector_goes_on_bit_for_bit_with_real_cartpoles(mode, break_after):
    collector = cartpoles(mode, seed=0)
    if break_after is not None:
        collector.collect(break_after)
    state = collector.state_dict()
    expected = [collector.collect(90)[0] for _ in range(3)]
    other = cartpoles(mode, seed=1)
    other.collect(40)
    if break_after is None:
        other = cartpoles(mode, seed=0)
    other.load_state_dict(state)
    assert other.restarted.size == 0
    for rollout in expected:
        assert_same_rollout(other.collect(90)[0], rollout)
    assert sum(len(rollout.episodes) for rollout in expected) > 5


def test_streams_that_cannot_be_restored_start_a_new_episode_and_say_so():
    adapter, _ = scripted(LONG, LONG)
    collector = collector_of(adapter)
    collector.collect(6)
    state = collector.state_dict()
    other = collector_of(scripted(LONG, LONG)[0])
    other.load_state_dict(state)
    assert other.restarted.tolist() == [10, 11]
    (rollout,) = other.collect(10)
    assert rollout.observation[0].tolist() == [[1, 0], [1, 0]]
    assert rollout.extras["age"][0].tolist() == [0, 0]
    assert [e.episode_length for e in rollout.episodes] == [5, 5]
    assert rollout.env_steps == 16
