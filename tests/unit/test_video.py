import subprocess
import sys

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium import spaces

from rlplug.errors import ConfigError, EnvironmentFaultError
from rlplug.protocols import PolicyContext
from rlplug.seeding import Seeds
from rlplug.testing.scripted import Episode, ScriptedEnv, ScriptedPolicy
from rlplug.video import check_draws_frames, record

EPISODES = [Episode((1.0, 2.0, 3.0)), Episode((5.0, 5.0), "truncated")]


def scripted(**arguments):
    return ScriptedEnv(EPISODES, render_mode="rgb_array", **arguments)


def policy_for(env, actions=None):
    places = env.observation_space, env.action_space, np.arange(1), 1, 1000, Seeds(0)
    return ScriptedPolicy(None, PolicyContext(*places), actions)


def frames_of(file, height=16, width=24):
    """Every frame, and the frames per second."""
    # imageio's reader leaves pipes open
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(file)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    num_frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(file))
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    assert len(frames) == num_frames
    return frames, num_frames / seconds


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".MP4"])
def test_every_frame_of_every_episode_is_in_the_file_in_order(tmp_path, suffix):
    env = scripted()
    file = tmp_path / f"video{suffix}"
    recording = record(policy_for(env), env, file, episodes=2, seed=0)
    assert recording == (file, 7, [6.0, 10.0])
    frames, fps = frames_of(file)
    # a frame's brightness is ten times the step of its episode; mp4 is lossy
    assert [round(frame.mean() / 10) for frame in frames] == [0, 1, 2, 3, 0, 1, 2]
    assert fps == pytest.approx(env.metadata["render_fps"])


def test_cartpole_is_recorded_without_a_display(tmp_path):
    env = gymnasium.make("CartPole-v1", render_mode="rgb_array", max_episode_steps=12)
    file = tmp_path / "cartpole.gif"
    recording = record(policy_for(env), env, file, episodes=1, seed=3)
    frames, fps = frames_of(file, 400, 600)
    assert recording.num_frames == len(frames) == recording.returns[0] + 1
    assert fps == 50
    env.reset(seed=3)
    assert np.abs(frames[0].astype(int) - env.render()).mean() < 1
    env.close()


def test_an_odd_frame_loses_a_line_in_mp4_and_none_in_gif(tmp_path):
    class Odd(ScriptedEnv):
        def render(self):
            return super().render()[:15, :23]

    for suffix, size in ((".mp4", (14, 22)), (".gif", (15, 23))):
        env = Odd(EPISODES, render_mode="rgb_array")
        file = tmp_path / f"odd{suffix}"
        record(policy_for(env), env, file, seed=0)
        frames, _ = frames_of(file, *size)
        assert [round(frame.mean() / 10) for frame in frames] == [0, 1, 2, 3]


def test_the_environment_gets_actions_within_its_bounds(tmp_path):
    env = scripted(action_space=spaces.Box(-1.0, 1.0, (1,)), dict_observation=True)
    actions = np.array([[[7.0]], [[0.5]], [[-7.0]]])
    record(policy_for(env, actions), env, tmp_path / "a.gif", seed=0)
    assert np.array(env.actions).ravel().tolist() == [1.0, 0.5, -1.0]


def test_a_failed_recording_leaves_no_file_and_keeps_an_earlier_one(tmp_path):
    class Failing(ScriptedEnv):
        def step(self, action):
            raise ZeroDivisionError

    env = Failing(EPISODES, render_mode="rgb_array")
    (tmp_path / "old.mp4").write_bytes(b"earlier")
    for name in ("old.mp4", "new.mp4"):
        with pytest.raises(ZeroDivisionError):
            record(policy_for(env), env, tmp_path / name, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == b"earlier"


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    env = scripted()
    with pytest.raises(ConfigError, match=r"the suffix '' is not one of \.mp4, \.gif"):
        record(policy_for(env), env, tmp_path / "video", seed=0)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    env = scripted()
    with pytest.raises(ConfigError, match="Cannot make the folder of the video"):
        record(policy_for(env), env, tmp_path / "file" / "video.mp4", seed=0)


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    env = scripted()
    with pytest.raises(ConfigError, match=r"'imageio-ffmpeg'.*pip install 'rlplug\[video\]'"):
        record(policy_for(env), env, tmp_path / "video.mp4", seed=0)


def test_an_environment_that_draws_no_frames_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r'render_mode is None.*Make it with render_mode="rgb_'):
        check_draws_frames(ScriptedEnv(EPISODES))
    blind = ScriptedEnv(EPISODES)
    blind.metadata = {"render_modes": ["human"]}
    with pytest.raises(ConfigError, match=r"Cannot record 'ScriptedEnv'.*It offers 'human'"):
        check_draws_frames(blind)
    blind.metadata = {}
    with pytest.raises(ConfigError, match="offers no render mode"):
        check_draws_frames(blind)


def test_what_is_no_frame_is_refused(tmp_path):
    class Wrong(ScriptedEnv):
        def render(self):
            return self.picture

    env = Wrong(EPISODES, render_mode="rgb_array")
    for picture in (None, np.zeros((4, 4)), np.zeros((4, 4, 3))):
        env.picture = picture
        with pytest.raises(EnvironmentFaultError, match="a frame is a uint8 array"):
            record(policy_for(env), env, tmp_path / "video.gif", seed=0)


def test_frames_of_two_sizes_are_refused(tmp_path):
    class Growing(ScriptedEnv):
        def render(self):
            return np.zeros((16, 16 + 2 * self._steps, 3), np.uint8)

    env = Growing(EPISODES, render_mode="rgb_array")
    with pytest.raises(EnvironmentFaultError, match="all frames of a video have one size"):
        record(policy_for(env), env, tmp_path / "video.gif", seed=0)


def test_importing_the_module_does_not_import_what_writes_videos():
    code = "import sys, rlplug.video; print('imageio_ffmpeg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
