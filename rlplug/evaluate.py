"""Playing whole episodes with a fixed policy, and what they returned.

Episodes are dealt out before the first step: environment i plays episodes i, i + N, i + 2N, … and
what it plays beyond its share is ignored. Taking the first episodes to end would favour short ones.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from rlplug.collect.episodes import EpisodeTracker
from rlplug.envs.actions import action_for_environment
from rlplug.errors import ConfigError, EnvironmentFaultError, IncompatibleError
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import gymnasium

    from rlplug.data import EpisodeStats
    from rlplug.envs.adapter import StepAdapter
    from rlplug.envs.config import EnvConfig
    from rlplug.loaded import LoadedPolicy
    from rlplug.protocols import Mode, Policy
    from rlplug.specs import ScoreRange

VIDEO_EPISODES = 3
"""A video shows no more than this many of the episodes."""


@dataclass(frozen=True)
class EvaluationReport:
    """Undiscounted, unclipped returns of whole episodes."""

    returns: list[float]
    """Of each episode, in the order in which they were dealt out."""
    lengths: list[int]
    """Environment steps of each."""
    seconds: float
    """Wall time."""
    about: dict[str, Any] = field(default_factory=dict)
    """What was evaluated: algorithm, environment, checkpoint, seed, …"""
    score_range: ScoreRange | None = None
    """What normalises the returns; None where nothing is known to."""
    sets: dict[str, EvaluationReport] = field(default_factory=dict)
    """Of each evaluation set by name, where the environment has several; this is of the first."""

    @property
    def episodes(self) -> int:
        """How many were played."""
        return len(self.returns)

    @property
    def env_steps(self) -> int:
        """Environment steps of these episodes."""
        return sum(self.lengths)

    @property
    def mean_return(self) -> float:
        """Mean over the episodes."""
        return float(np.mean(self.returns))

    @property
    def std_return(self) -> float:
        """Standard deviation over the episodes (the root of the mean square, not a sample's)."""
        return float(np.std(self.returns))

    @property
    def normalized_score(self) -> float | None:
        """The mean return, normalised."""
        return None if self.score_range is None else self.score_range.normalize(self.mean_return)

    @staticmethod
    def of_sets(reports: dict[str, EvaluationReport]) -> EvaluationReport:
        """The first set's report, with those of all; as it is where it is the only set."""
        name, first = next(iter(reports.items()))
        return replace(first, sets=reports) if name else first

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            **self.about,
            "mean_return": self.mean_return,
            "std_return": self.std_return,
            **({} if self.score_range is None else {"normalized_score": self.normalized_score}),
            "episodes": self.episodes,
            "env_steps": self.env_steps,
            "seconds": self.seconds,
            "returns": self.returns,
            "lengths": self.lengths,
            **({"sets": {n: one.to_dict() for n, one in self.sets.items()}} if self.sets else {}),
        }


def evaluate(
    policy: Policy, adapter: StepAdapter, *, episodes: int, seed: int, mode: Mode = "greedy"
) -> EvaluationReport:
    """Play `episodes` whole episodes.

    Args:
        policy: Acts in all environments at once. One of evaluation's own: where `mode` draws, it
            draws from this policy's generators, and nothing else here draws at all.
        adapter: The environments; they are reset first.
        episodes: How many to report.
        seed: Starts the environments; the same seed plays the same episodes.
        mode: How actions are chosen.
    """
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; play at least one.")
    began = time.perf_counter()
    played: dict[int, EpisodeStats] = {}
    for number, episode in _episodes(policy, adapter, seed, mode):
        if number < episodes:
            played[number] = episode
        if len(played) == episodes:
            break
    in_order = [played[number] for number in range(episodes)]
    return EvaluationReport(
        returns=[episode.episode_return for episode in in_order],
        lengths=[episode.episode_length for episode in in_order],
        seconds=time.perf_counter() - began,
    )


def _episodes(
    policy: Policy, adapter: StepAdapter, seed: int, mode: Mode
) -> Iterator[tuple[int, EpisodeStats]]:
    """Every episode as it ends, without end, with the number it was dealt."""
    num_envs = adapter.num_envs
    to_environment = action_for_environment(adapter.action_space)
    tracker = EpisodeTracker(np.arange(num_envs))
    numbers = list(range(num_envs))
    everywhere = np.ones(num_envs, np.bool_)
    observation = adapter.reset(seed)
    state = policy.reset(policy.initial_state(num_envs), everywhere)
    while True:
        action, state, _ = policy.act(observation, state, mode=mode)
        step = adapter.step(to_environment(action))
        ended = step.final_envs.tolist()
        for episode in tracker.update(step.reward, step.valid, ended, env_steps=0):
            yield numbers[episode.stream], episode
            numbers[episode.stream] += num_envs
        state = policy.reset(state, step.episode_over | ~step.valid)
        observation = step.observation


def evaluate_run(  # noqa: PLR0913 - one parameter for each option
    run_dir: Path,
    *,
    episodes: int = 50,
    seed: int | None = None,
    checkpoint: Literal["last", "best"] | Path = "last",
    mode: Mode = "greedy",
    device: str = "cpu",
    video: Path | None = None,
    render: bool = False,
    evaluation_set: str | None = None,
) -> EvaluationReport:
    """Evaluate the policy of a finished or running run.

    Args:
        run_dir: The run's folder.
        episodes: How many to play.
        seed: Starts the environments. None derives one from the run's seed that neither training
            nor its evaluations used.
        checkpoint: The newest, the one with the best evaluation, or its path.
        mode: How actions are chosen.
        device: Where the policy computes.
        video: An mp4 or gif file that shows the first episodes (at most `VIDEO_EPISODES`).
        render: Play in one environment, in a window.
        evaluation_set: One of the environment's; None plays `episodes` of each. Videos and windows
            show the first.

    Raises:
        ConfigError: no such run, checkpoint or set, no display, or a video that cannot be written.
    """
    from rlplug.loaded import load
    from rlplug.video import prepare_path, record

    if render:
        _check_display()
    if video is not None:
        prepare_path(video)
    loaded = load(run_dir, checkpoint, device=device)
    seeds = Seeds(loaded.config.seed if seed is None else seed).child("evaluate-run")
    seed = seeds.integer("environments") if seed is None else seed
    about = loaded.about | {"mode": mode, "seed": seed}
    names = _sets_to_play(loaded, evaluation_set)
    if video is not None:
        policy, shown = loaded.policy(1, seeds.child("video")), min(episodes, VIDEO_EPISODES)
        with closing(_drawing_environment(loaded, names[0])) as env:
            record(policy, env, video, episodes=shown, seed=seed, mode=mode)
        about["video"] = str(video)
    score_range = loaded.resolved.environment.score_range(loaded.config.env.model_dump())
    reports = {}
    for name in names[:1] if render else names:
        adapter = _environments(loaded, episodes, name, render=render)
        with closing(adapter), _window_errors():
            policy = loaded.policy(adapter.num_envs, seeds.child("policy"))
            report = evaluate(policy, adapter, episodes=episodes, seed=seed, mode=mode)
        reports[name] = replace(report, score_range=score_range)
    return replace(EvaluationReport.of_sets(reports), about=about)


def _sets_to_play(loaded: LoadedPolicy, wanted: str | None) -> tuple[str, ...]:
    """Names of evaluation sets: all of the environment's, or the one that is wanted.

    Raises:
        ConfigError: there is no such set.
    """
    names = loaded.resolved.environment.set_names
    if wanted is None:
        return names
    if not wanted or wanted not in names:
        there = ", ".join(names) if names[0] else "none; leave the set out"
        raise ConfigError(
            f"There is no evaluation set {wanted!r} of {loaded.environment}; there is: {there}."
        )
    return (wanted,)


def _drawing_environment(loaded: LoadedPolicy, evaluation_set: str) -> gymnasium.Env[Any, Any]:
    """One evaluation environment that renders frames."""
    from rlplug.envs.make import make_env

    env_config = cast("EnvConfig", loaded.config.env)
    return make_env(
        loaded.resolved.environment, env_config, render_mode="rgb_array", evaluation=evaluation_set
    )


def _environments(
    loaded: LoadedPolicy, episodes: int, evaluation_set: str, *, render: bool
) -> StepAdapter:
    """The run's evaluation environments: as many as its config says, or one in a window."""
    from rlplug.envs.adapter import StepAdapter
    from rlplug.envs.make import make_vector

    env_config = cast("EnvConfig", loaded.config.env)
    vector = make_vector(
        loaded.resolved.environment,
        env_config,
        1 if render else min(loaded.config.evaluate.num_envs, episodes),
        render_mode="human" if render else None,
        evaluation=evaluation_set,
    )
    adapter = StepAdapter(vector, name=loaded.environment, check=env_config.check)
    seen = (loaded.observation_space, loaded.action_space)
    offered = (adapter.observation_space, adapter.action_space)
    if offered != seen:
        adapter.close()
        raise IncompatibleError(
            f"The policy was trained with the spaces {seen[0]} and {seen[1]}; "
            f"'{loaded.environment}' now has {offered[0]} and {offered[1]}. "
            "Use the versions that the run folder names."
        )
    return adapter


def _check_display() -> None:
    """Refuse to open a window where nothing would show it.

    Raises:
        ConfigError: on Linux, without a display.
    """
    # SDL would draw off-screen without a word
    has_display = any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    )
    if sys.platform.startswith("linux") and not has_display:
        raise ConfigError(_no_window("there is no display (set DISPLAY or WAYLAND_DISPLAY)"))


@contextmanager
def _window_errors() -> Iterator[None]:
    """Tell a window that does not open from an environment at fault."""
    try:
        yield
    except EnvironmentFaultError as error:
        if type(error.__cause__).__module__.startswith("pygame"):
            raise ConfigError(_no_window(str(error.__cause__))) from error
        raise


def _no_window(reason: str) -> str:
    return f"Cannot open a window: {reason}. Record a video instead: --video FILE.mp4"
