import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from rlplug.collect.local import LocalCollector
from rlplug.envs.adapter import StepAdapter
from rlplug.evaluate import evaluate
from rlplug.protocols import PolicyContext
from rlplug.seeding import Seeds
from rlplug.testing.scripted import Episode, ScriptedEnv, ScriptedPolicy

whole_numbers = st.integers(-9, 9).map(float)
episodes = st.builds(
    Episode,
    st.lists(whole_numbers, min_size=1, max_size=4).map(tuple),
    st.sampled_from(["terminated", "truncated"]),
)
scripts = st.lists(st.lists(episodes, min_size=1, max_size=3), min_size=1, max_size=3)
modes = st.sampled_from(list(AutoresetMode))


def parts(scripts, mode):
    vector = SyncVectorEnv(
        [lambda script=script: ScriptedEnv(script) for script in scripts], autoreset_mode=mode
    )
    adapter = StepAdapter(vector, name="scripted")
    places = adapter.observation_space, adapter.action_space
    streams = np.arange(adapter.num_envs)
    context = PolicyContext(*places, streams, adapter.num_envs, 100, Seeds(0))
    return adapter, ScriptedPolicy(None, context), streams


def played(script, count):
    """The first transitions of a script: observation, reward, terminated, over, next, age."""
    rows = []
    resets = 0
    while len(rows) < count:
        episode = script[resets % len(script)]
        resets += 1
        for step, reward in enumerate(episode.rewards):
            over = step + 1 == len(episode.rewards)
            terminated = over and episode.ends == "terminated"
            rows.append(([resets, step], reward, terminated, over, [resets, step + 1], step))
    return rows[:count]


@settings(deadline=None, max_examples=60)
@given(scripts, modes, st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_rollouts_of_any_length_join_up_to_what_was_played(scripts, mode, lengths):
    adapter, policy, streams = parts(scripts, mode)
    collector = LocalCollector(adapter, policy, streams=streams, seeds=Seeds(0))
    rows = {stream: [] for stream in streams.tolist()}
    ended = {stream: [] for stream in streams.tolist()}
    for length in lengths:
        (rollout,) = collector.collect(length)
        finals = dict(
            zip(map(tuple, rollout.final_steps.tolist()), rollout.final_observation, strict=True)
        )
        assert set(finals) == set(map(tuple, np.argwhere(rollout.episode_over).tolist()))
        assert list(finals) == sorted(finals)
        following = np.concatenate((rollout.observation[1:], rollout.next_observation[None]))
        for t, n in np.argwhere(rollout.valid).tolist():
            rows[n].append(
                (
                    rollout.observation[t, n].tolist(),
                    rollout.reward[t, n].item(),
                    rollout.terminated[t, n].item(),
                    rollout.episode_over[t, n].item(),
                    finals.get((t, n), following[t, n]).tolist(),
                    rollout.extras["age"][t, n].item(),
                )
            )
        for episode in rollout.episodes:
            ended[episode.stream].append((episode.episode_return, episode.episode_length))
    for stream, script in enumerate(scripts):
        assert rows[stream] == played(script, len(rows[stream]))
        whole = [(sum(each.rewards), len(each.rewards)) for each in script] * 50
        assert ended[stream] == whole[: len(ended[stream])]
        assert len(ended[stream]) == sum(row[3] for row in rows[stream])
    assert collector.env_steps == sum(map(len, rows.values())) >= sum(lengths)


@settings(deadline=None, max_examples=60)
@given(scripts, modes, st.integers(1, 9))
def test_evaluation_reports_the_first_episodes_of_each_environment(scripts, mode, count):
    adapter, policy, _ = parts(scripts, mode)
    report = evaluate(policy, adapter, episodes=count, seed=0)
    num_envs = len(scripts)
    dealt = []
    for number in range(count):
        script = scripts[number % num_envs]
        dealt.append(script[number // num_envs % len(script)].rewards)
    assert report.returns == [sum(rewards) for rewards in dealt]
    assert report.lengths == [len(rewards) for rewards in dealt]
