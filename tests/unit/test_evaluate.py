import json

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.envs.adapter import StepAdapter
from rlplug.evaluate import EvaluationReport, evaluate
from rlplug.protocols import PolicyContext, PolicyStep
from rlplug.seeding import Seeds
from rlplug.testing.scripted import Episode, ScriptedEnv, ScriptedPolicy

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED]


def adapter_over(*scripts, mode=AutoresetMode.SAME_STEP):
    vector = SyncVectorEnv(
        [lambda script=script: ScriptedEnv(script) for script in scripts], autoreset_mode=mode
    )
    return StepAdapter(vector, name="scripted")


def policy_for(adapter):
    spaces = adapter.observation_space, adapter.action_space
    context = PolicyContext(*spaces, np.arange(adapter.num_envs), adapter.num_envs, 1000, Seeds(0))
    return ScriptedPolicy(None, context)


@pytest.mark.parametrize("mode", MODES)
def test_episodes_are_dealt_out_in_advance_so_that_short_ones_are_not_favoured(mode):
    # one environment's episodes are 20 times as long as the other's
    adapter = adapter_over([Episode((1.0,) * 20)], [Episode((100.0,))], mode=mode)
    report = evaluate(policy_for(adapter), adapter, episodes=6, seed=0)
    assert report.returns == [20.0, 100.0] * 3
    assert report.lengths == [20, 1] * 3
    assert report.mean_return == 60.0
    assert report.std_return == 40.0
    assert (report.episodes, report.env_steps) == (6, 63)


@pytest.mark.parametrize("mode", MODES)
def test_an_environment_plays_its_own_episodes_in_order(mode):
    first = [Episode((1.0,)), Episode((2.0, 0.0)), Episode((3.0,))]
    second = [Episode((10.0, 0.0, 0.0)), Episode((20.0,))]
    adapter = adapter_over(first, second, mode=mode)
    report = evaluate(policy_for(adapter), adapter, episodes=5, seed=0)
    assert report.returns == [1.0, 10.0, 2.0, 20.0, 3.0]


def test_environments_without_a_share_are_ignored():
    adapter = adapter_over([Episode((1.0,) * 3)], [Episode((5.0,))], [Episode((7.0,))])
    report = evaluate(policy_for(adapter), adapter, episodes=1, seed=0)
    assert report.returns == [1.0 * 3]


def test_a_second_evaluation_starts_over_with_whole_episodes():
    adapter = adapter_over([Episode((1.0,) * 4)], [Episode((1.0,) * 3)])
    policy = policy_for(adapter)
    reports = [evaluate(policy, adapter, episodes=3, seed=0) for _ in range(2)]
    assert reports[0].returns == reports[1].returns == [4.0, 3.0, 4.0]


@pytest.mark.parametrize("mode", MODES)
def test_the_recurrent_state_begins_anew_with_each_episode(mode):
    seen = []

    class Witness(ScriptedPolicy):
        def act(self, observation, policy_state, *, mode):
            seen.append((observation[0, 1], policy_state[0]))
            return super().act(observation, policy_state, mode=mode)

    adapter = adapter_over([Episode((1.0,) * 3)], mode=mode)
    evaluate(Witness(None, policy_for(adapter)._context), adapter, episodes=3, seed=0)
    before_an_action = [pair for pair in seen if pair[0] < 3]  # NEXT_STEP also shows the last one
    assert before_an_action == [(0, 0), (1, 1), (2, 2)] * 3


class CoinPolicy:
    """Greedy takes action 0; every other mode draws."""

    def __init__(self, generator):
        self.generator = generator
        self.modes = set()

    def act(self, observation, policy_state, *, mode):
        self.modes.add(mode)
        size = len(observation)
        action = np.zeros(size, np.int64)
        if mode != "greedy":
            action = self.generator.integers(2, size=size)
        return PolicyStep(action, None, {})

    def initial_state(self, num_envs):
        return None

    def reset(self, policy_state, which):
        return None


def test_evaluation_is_greedy_and_draws_from_no_generator():
    generator = np.random.default_rng(5)
    policy = CoinPolicy(generator)
    adapter = adapter_over([Episode((1.0,) * 5)])
    before = (
        generator.bit_generator.state,
        np.random.get_state()[1].tolist(),  # noqa: NPY002 - the global generator is the point
        torch.get_rng_state().tolist(),
    )
    evaluate(policy, adapter, episodes=3, seed=0)
    assert policy.modes == {"greedy"}
    after = (
        generator.bit_generator.state,
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.get_rng_state().tolist(),
    )
    assert before == after
    evaluate(policy, adapter, episodes=3, seed=0, mode="sample")
    assert policy.modes == {"greedy", "sample"}


def test_a_report_is_ready_for_json():
    report = EvaluationReport([1.0, 3.0], [10, 20], 0.5, {"algorithm": "dqn"})
    assert json.loads(json.dumps(report.to_dict())) == {
        "algorithm": "dqn",
        "mean_return": 2.0,
        "std_return": 1.0,
        "episodes": 2,
        "env_steps": 30,
        "seconds": 0.5,
        "returns": [1.0, 3.0],
        "lengths": [10, 20],
    }


def test_no_episodes_are_refused():
    adapter = adapter_over([Episode((1.0,))])
    with pytest.raises(ValueError, match="play at least one"):
        evaluate(policy_for(adapter), adapter, episodes=0, seed=0)
