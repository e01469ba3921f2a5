"""What must hold of an environment: its spaces, its seeds, its ends, and its vector form."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.utils.env_checker import check_env

from rlplug.testing.check import Checks, NonConformanceError, NotApplicableError, require
from rlplug.testing.containment import where_outside
from rlplug.testing.global_state import global_state_changes
from rlplug.testing.played import NUM_ENVS, SEED, VECTOR_STEPS, difference, play, play_vector

if TYPE_CHECKING:
    from rlplug.testing.played import EnvironmentSubject, Event

CHECKS = Checks()
_STEPS = 300
"""Of one environment, where its episodes are looked at."""


@CHECKS.add("Gymnasium's checker passes")
def gymnasiums_checker_passes(subject: EnvironmentSubject) -> str | None:
    """`gymnasium.utils.env_checker` accepts it; what it warns of is passed on."""
    env = subject.make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_env(env.unwrapped, skip_render_check=True)
        except Exception as error:
            text = _plain(str(error)) or type(error).__name__
            raise NonConformanceError(f"Gymnasium's checker says: {text}") from error
        finally:
            env.close()
    said = dict.fromkeys(_plain(str(one.message)) for one in caught)
    return f"Gymnasium warns: {' '.join(said)}" if said else None


def _plain(text: str) -> str:
    """Without the colours that Gymnasium writes, in one line."""
    for mark in ("\x1b[33m", "\x1b[31m", "\x1b[0m", "WARN: "):
        text = text.replace(mark, "")
    return " ".join(text.split())


@CHECKS.add("what it returns is in its spaces")
def what_it_returns_is_in_its_spaces(subject: EnvironmentSubject) -> None:
    """Observations have the declared keys, shapes, dtypes and bounds; rewards are finite."""
    env = subject.make()
    space: Any = env.observation_space
    env.action_space.seed(SEED)
    try:
        observation, info = env.reset(seed=SEED)
        for step in range(_STEPS):
            found = where_outside(space, observation, "observation")
            require(not found, f"After {step} steps from seed {SEED} its {found}.")
            require(isinstance(info, dict), f"It returned {info!r:.60} for infos, expected a dict.")
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            _require_outcome(reward, terminated, truncated, step)
            if terminated or truncated:
                found = where_outside(space, observation, "observation")
                require(not found, f"At the end of an episode (seed {SEED}) its {found}.")
                observation, info = env.reset()
    finally:
        env.close()


def _require_outcome(reward: Any, terminated: Any, truncated: Any, step: int) -> None:
    is_number = isinstance(reward, int | float | np.number | np.bool_) or (
        isinstance(reward, np.ndarray) and reward.ndim == 0
    )
    require(
        is_number and math.isfinite(float(reward)),
        f"In step {step + 1} it returned the reward {reward!r:.60}, expected one finite number.",
    )
    for name, flag in (("terminated", terminated), ("truncated", truncated)):
        require(
            isinstance(flag, bool | np.bool_),
            f"In step {step + 1} it returned {name} {flag!r:.60}, expected a bool.",
        )


@CHECKS.add("the seed decides the episode")
def the_seed_decides_the_episode(subject: EnvironmentSubject) -> str | None:
    """The same seed and actions give the same episode in any instance; another seed another."""
    actions = subject.actions(60, SEED)
    first, again, *others = (
        _played(subject, actions, seed) for seed in (SEED, SEED, *range(SEED + 1, SEED + 4))
    )
    for step, (left, right) in enumerate(zip(first, again, strict=False)):
        found = difference(left, right)
        require(
            not found,
            f"Two instances reset with seed {SEED} and given the same actions differ in event "
            f"{step} by {found}; draw everything from self.np_random, after "
            "super().reset(seed=seed).",
        )
    differs = any(  # two seeds may begin alike: one idle frame more or less
        difference(*pair) for other in others for pair in zip(first, other, strict=False)
    )
    if subject.declared.is_deterministic:
        require(not differs, "It is declared deterministic, and two seeds give two episodes.")
        return "deterministic, as declared"
    require(
        differs,
        f"The seeds {SEED} to {SEED + 3} give the same episode; draw what varies from "
        "self.np_random, or set is_deterministic in its EnvironmentConformance.",
    )
    return None


def _played(
    subject: EnvironmentSubject, actions: list[Any], seed: int, limit: int | None = None
) -> list[Event]:
    env = subject.make(limit=limit)
    try:
        return play(env, actions, seed)
    finally:
        env.close()


@CHECKS.add("no global state changes")
def no_global_state_changes(subject: EnvironmentSubject) -> None:
    """Making, playing and closing it leave random generators and other globals as they were."""
    actions = subject.actions(30, SEED)
    changed = global_state_changes(lambda: _played(subject, actions, SEED))
    require(
        not changed,
        f"Playing it changed {', '.join(changed)} of the whole process; draw from self.np_random, "
        "and set nothing that is global.",
    )


@CHECKS.add("the vector form plays the same")
def the_vector_form_plays_the_same(subject: EnvironmentSubject) -> str | None:
    """Environment i of the vector form, seeded s, plays as a single one seeded s + i."""
    found, ends = _vector_differences(subject, {"start", "step"})
    require(not found, found)
    return f"{ends} episodes ended"


@CHECKS.add("ends and new beginnings are real")
def ends_and_new_beginnings_are_real(subject: EnvironmentSubject) -> None:
    """The vector form gives an episode's true last observation, and its successor's first."""
    found, ends = _vector_differences(subject, {"first", "last"})
    if not ends and subject.spec.make_vector is None:  # a time limit is put around any
        found, ends = _vector_differences(subject, {"first", "last"}, limit=VECTOR_STEPS // 3)
    require(not found, found)
    if not ends:
        msg = f"No episode ended within {VECTOR_STEPS} steps of {NUM_ENVS} environments."
        raise NotApplicableError(msg)


def _vector_differences(
    subject: EnvironmentSubject, kinds: set[str], limit: int | None = None
) -> tuple[str, int]:
    """The first event of these kinds in which the vector form differs, and the ends seen."""
    adapter = subject.vector(NUM_ENVS, limit=limit)
    try:
        events, actions = play_vector(adapter, SEED, VECTOR_STEPS)
    finally:
        adapter.close()
    ends = sum(event.kind == "last" for each in events for event in each)
    if _differ_by_themselves(subject, actions[0]):
        raise NotApplicableError("Its episodes do not follow the seed, which another check finds.")
    for index, came in enumerate(events):
        expected = _played(subject, actions[index], SEED + index, limit)
        for place, (left, right) in enumerate(zip(came, expected, strict=False)):
            found = difference(left, right)
            if found and (left.kind in kinds or right.kind in kinds):
                return _sentence(index, place, right.kind, found), ends
            if found:  # nothing after it can be compared
                break
    return "", ends


def _differ_by_themselves(subject: EnvironmentSubject, actions: list[Any]) -> bool:
    """Whether two single environments already differ under the same seed."""
    first, again = (_played(subject, actions, SEED) for _ in range(2))
    return any(difference(*pair) for pair in zip(first, again, strict=False))


def _sentence(index: int, place: int, kind: str, found: str) -> str:
    where = f"Event {place} of environment {index} (seed {SEED + index})"
    if kind in {"start", "step"}:
        return (
            f"{where} differs from that of a single environment by {found}; the vector form must "
            "give environment i its own generator, seeded seed + i, and share nothing."
        )
    what = "the last observation of an episode" if kind == "last" else "the first of the next one"
    return (
        f"{where}, {what}, differs from that of a single environment by {found}; under SAME_STEP "
        "give infos['final_obs'] the observation before the reset, under NEXT_STEP reset in the "
        "step after the end, and set metadata['autoreset_mode']."
    )
