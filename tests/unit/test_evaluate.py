import json
from types import SimpleNamespace

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlplug.envs.adapter import StepAdapter
from rlplug.envs.space_json import spaces_to_json
from rlplug.errors import ConfigError, IncompatibleError
from rlplug.evaluate import EvaluationReport, evaluate, evaluate_run
from rlplug.protocols import PolicyContext, PolicyStep
from rlplug.seeding import Seeds
from rlplug.specs import ScoreRange
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
    evaluate(Witness(None, policy_for(adapter).context), adapter, episodes=3, seed=0)
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


def test_a_report_of_several_sets_is_the_first_s_and_holds_all():
    scores = ScoreRange(low=0, high=4)
    seen = EvaluationReport([1.0, 3.0], [10, 20], 0.5, score_range=scores)
    unseen = EvaluationReport([1.0], [5], 0.1, score_range=scores)
    report = EvaluationReport.of_sets({"seen": seen, "unseen": unseen})
    assert (report.mean_return, report.normalized_score) == (2.0, 0.5)
    told = json.loads(json.dumps(report.to_dict()))
    assert told["normalized_score"] == 0.5
    assert told["sets"] == {"seen": seen.to_dict(), "unseen": unseen.to_dict()}
    assert EvaluationReport.of_sets({"": seen}) is seen


def test_no_episodes_are_refused():
    adapter = adapter_over([Episode((1.0,))])
    with pytest.raises(ValueError, match="play at least one"):
        evaluate(policy_for(adapter), adapter, episodes=0, seed=0)


def test_a_run_is_evaluated_with_its_settings_and_says_what_it_is(cartpole_run):
    report = evaluate_run(cartpole_run, episodes=7)
    assert report.episodes == 7
    assert all(1 <= length <= 30 for length in report.lengths)  # the run's own time limit
    assert report.returns == [float(length) for length in report.lengths]
    told = report.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert (told["algorithm"], told["environment"], told["mode"]) == ("dqn", "cartpole", "greedy")
    assert told["trained_env_steps"] == 200
    assert told["checkpoint"].endswith("step-000000200")


def test_the_seed_in_a_report_brings_the_same_episodes_back(cartpole_run):
    first = evaluate_run(cartpole_run, episodes=5)
    again = evaluate_run(cartpole_run, episodes=5)
    by_seed = evaluate_run(cartpole_run, episodes=5, seed=first.about["seed"])
    other = evaluate_run(cartpole_run, episodes=5, seed=first.about["seed"] + 100)
    assert first.returns == again.returns == by_seed.returns
    assert first.returns != other.returns


def test_another_checkpoint_can_be_evaluated(cartpole_run):
    assert (
        evaluate_run(cartpole_run, episodes=1, checkpoint="best").about["trained_env_steps"] == 100
    )


def test_an_environment_that_has_changed_its_spaces_is_refused(make_run):
    run = make_run("cartpole")
    stored = spaces_to_json(Box(-1, 1, (4,)), Discrete(2))
    (run / "spaces.json").write_text(json.dumps(stored))
    with pytest.raises(IncompatibleError, match="was trained with the spaces"):
        evaluate_run(run, episodes=1)


def test_the_video_shows_the_first_episodes_of_the_report(cartpole_run, tmp_path):
    file = tmp_path / "new" / "run.mp4"
    report = evaluate_run(cartpole_run, episodes=1, video=file)
    assert report.about["video"] == str(file)
    num_frames, _ = imageio_ffmpeg.count_frames_and_secs(str(file))
    assert num_frames == report.lengths[0] + 1  # one more: what the reset showed


def test_a_bad_video_file_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(ConfigError, match=r"suffix '\.avi' is not one of \.mp4, \.gif"):
        evaluate_run(tmp_path / "no-run", video=tmp_path / "run.avi")


def test_a_window_without_a_display_is_refused_with_the_way_out(cartpole_run, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(ConfigError, match=r"no display .* --video FILE\.mp4"):
        evaluate_run(cartpole_run, render=True)


def test_a_window_that_does_not_open_is_told_apart_from_a_fault(cartpole_run, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    with pytest.raises(ConfigError, match="Cannot open a window: no-such-driver not available"):
        evaluate_run(cartpole_run, episodes=1, render=True)


def test_a_rendered_evaluation_plays_all_its_episodes_in_one_window(cartpole_run, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("pygame.time.Clock", lambda: SimpleNamespace(tick=lambda fps: None))
    report = evaluate_run(cartpole_run, episodes=2, render=True)
    assert report.episodes == 2
