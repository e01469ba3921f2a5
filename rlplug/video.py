"""Recording a policy to a video file."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import optree

from rlplug.envs.actions import action_for_environment
from rlplug.errors import ConfigError, EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from rlplug.data import Array
    from rlplug.protocols import Mode, Policy

SUFFIXES = (".mp4", ".gif")
DEFAULT_FPS = 30
# a palette for each frame: one for the whole GIF would keep every frame in memory until the end
GIF_OPTIONS = {
    "codec": "gif",
    "pix_fmt_out": "pal8",
    "quality": None,
    "output_params": [
        "-filter_complex",
        "split[a][b];[a]palettegen=stats_mode=single:reserve_transparent=0[p];"
        "[b][p]paletteuse=new=1",
        # ffmpeg leaves out what stayed the same, but compares indices of different palettes
        "-gifflags",
        "-transdiff-offsetting",
    ],
}


class Recording(NamedTuple):
    """What a video shows."""

    path: Path
    num_frames: int
    returns: list[float]
    """Undiscounted return of each episode, in order."""


def prepare_path(path: Path) -> None:
    """Make the video's folder, or refuse what cannot be written, before anything is played.

    Raises:
        ConfigError: an unknown suffix, a missing package, or a folder that cannot be made.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"Cannot write a video to '{path}': the suffix '{path.suffix}' is not one of "
            f"{', '.join(SUFFIXES)}."
        )
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ConfigError(
            f"Writing '{path}' needs the package 'imageio-ffmpeg', which is not installed. "
            "Install it with: pip install 'rlplug[video]'"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Cannot make the folder of the video '{path}': {error}") from error


def record(
    policy: Policy,
    env: gymnasium.Env[Any, Any],
    path: Path,
    *,
    episodes: int = 1,
    seed: int,
    mode: Mode = "greedy",
) -> Recording:
    """Play whole episodes and write every frame to `path` as it is drawn.

    The file appears when it is complete; a recording that fails leaves none.

    Args:
        policy: Acts in one environment.
        env: Made with `render_mode="rgb_array"`; the caller closes it.
        path: An mp4 or gif file; its folder is made.
        episodes: How many to play, one after the other.
        seed: Starts the environment.
        mode: How actions are chosen.

    Raises:
        ConfigError: the path cannot be written, or the environment does not draw frames.
    """
    path = Path(path)
    prepare_path(path)
    check_draws_frames(env)
    returns: list[float] = []
    num_frames = 0
    with _writer(path, float(env.metadata.get("render_fps") or DEFAULT_FPS)) as write:
        for episode in range(episodes):
            rewards = []
            for reward in _play(policy, env, mode, seed if episode == 0 else None):
                write(_frame(env))
                num_frames += 1
                rewards.append(reward)
            returns.append(float(sum(rewards)))
    return Recording(path, num_frames, returns)


def check_draws_frames(env: gymnasium.Env[Any, Any]) -> None:
    """Refuse an environment that was not made with `render_mode="rgb_array"`.

    Raises:
        ConfigError: it draws nothing, or to a window.
    """
    if env.render_mode == "rgb_array":
        return
    modes = env.metadata.get("render_modes") or []
    if "rgb_array" in modes:
        hint = 'Make it with render_mode="rgb_array".'
    else:
        hint = f"It offers {', '.join(map(repr, modes)) if modes else 'no render mode'}."
    raise ConfigError(
        f"Cannot record '{_name(env)}': its render_mode is {env.render_mode!r}, and a video needs "
        f"'rgb_array'. {hint}"
    )


def _play(
    policy: Policy, env: gymnasium.Env[Any, Any], mode: Mode, seed: int | None
) -> Iterator[float]:
    """One episode: yields 0 after the reset, then the reward of each step."""
    to_environment = action_for_environment(env.action_space)
    observation, _ = env.reset(seed=seed)
    state = policy.reset(policy.initial_state(1), np.ones(1, np.bool_))
    yield 0.0
    over = False
    while not over:
        batch = optree.tree_map(lambda leaf: np.asarray(leaf)[None], observation)
        action, state, _ = policy.act(batch, state, mode=mode)
        action = optree.tree_map(lambda leaf: leaf[0], action)
        observation, reward, terminated, truncated, _ = env.step(to_environment(action))
        over = terminated or truncated
        yield float(reward)


def _name(env: gymnasium.Env[Any, Any]) -> str:
    return env.spec.id if env.spec else type(env.unwrapped).__name__


def _frame(env: gymnasium.Env[Any, Any]) -> Array:
    """What the environment shows now, `[height, width, 3]` uint8."""
    try:
        frame: Any = env.render()
    except gymnasium.error.DependencyNotInstalled as error:
        raise ConfigError(f"Cannot record '{_name(env)}': {error}") from error
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.shape[2:] != (3,):
        shown = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else repr(frame)
        raise EnvironmentFaultError(
            f"'{_name(env)}' rendered {shown}; a frame is a uint8 array [height, width, 3]."
        )
    return frame


@contextmanager
def _writer(path: Path, fps: float) -> Iterator[Callable[[Array], None]]:
    """Gives a function that writes one frame; `path` appears when all are written."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    stream = _FrameStream(partial, fps)
    try:
        yield stream.write
        stream.close()
        partial.replace(path)
    finally:
        stream.close()
        partial.unlink(missing_ok=True)


class _FrameStream:
    """An ffmpeg process that encodes frames as they come; their size is that of the first."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._shape: tuple[int, ...] = ()
        self._ffmpeg: Generator[None, Array | None, None] | None = None

    def write(self, frame: Array) -> None:
        is_gif = self._path.suffix.lower() == ".gif"
        if not is_gif:  # the colours of an mp4 are stored for 2 × 2 pixels at once
            height, width = frame.shape[:2]
            frame = frame[: height - height % 2, : width - width % 2]
        if self._ffmpeg is None:
            self._shape = frame.shape
            self._ffmpeg = self._start(is_gif=is_gif)
        if frame.shape != self._shape:
            raise EnvironmentFaultError(
                f"A frame of {frame.shape} followed one of {self._shape}; "
                "all frames of a video have one size."
            )
        try:
            self._ffmpeg.send(np.ascontiguousarray(frame))
        except OSError as error:
            raise ConfigError(f"Cannot write the video '{self._path}': {error}") from error

    def _start(self, *, is_gif: bool) -> Generator[None, Array | None, None]:
        from imageio_ffmpeg import write_frames

        height, width = self._shape[:2]
        ffmpeg: Generator[None, Array | None, None] = write_frames(
            str(self._path),
            (width, height),
            fps=self._fps,
            macro_block_size=1,
            ffmpeg_log_level="error",
            **(GIF_OPTIONS if is_gif else {}),
        )
        ffmpeg.send(None)
        return ffmpeg

    def close(self) -> None:
        if self._ffmpeg is not None:
            self._ffmpeg.close()
