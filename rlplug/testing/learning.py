"""What must hold of what is learned: known values, every space, every batch, and no NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from rlplug.checkpoint import load_checkpoint
from rlplug.errors import DivergedError, IncompatibleError, RlplugError
from rlplug.registry.discovery import import_string
from rlplug.resolve import check as check_run
from rlplug.testing import scenes
from rlplug.testing.check import Checks, NonConformanceError, NotApplicableError, require
from rlplug.testing.comparison import arrays, differs, float_arrays, state_differences
from rlplug.testing.probes import PROBES
from rlplug.testing.subject import STEPS
from rlplug.testing.worlds import WORLD
from rlplug.train.run import train

if TYPE_CHECKING:
    from rlplug.data import Array
    from rlplug.specs import SpaceKind
    from rlplug.testing.short_run import ShortRun
    from rlplug.testing.subject import AlgorithmSubject

CHECKS = Checks()
GAMMA = 0.9
_TRUNCATION_TOLERANCE = 1.2
"""Of values of 10: less than half of what the mildest fault costs, a discount too many at the cut
(7.4 to 7.9). Bootstrapping multiplies the error of an approximation by 1 / (1 - γ) = 10; the one
that is furthest off is a recurrent network, by up to 1.0, whose state after three steps stands for
an observation that it otherwise sees at the start alone."""
_TERMINATION_TOLERANCE = 0.15
"""Of values of 1 to 2.71: less than what a discount too few (3, 2, 1) or too many (2.47, 1.81, 1)
costs."""
_KINDS: tuple[SpaceKind, ...] = (
    "discrete", "multi-discrete", "multi-binary", "box", "image", "dict", "tuple"
)  # fmt: skip


@CHECKS.add("declared spaces train")
def declared_spaces_train(subject: AlgorithmSubject) -> None:
    """In each declared space it trains: actions fit, weights change and stay finite."""
    spec = subject.spec
    tried = [("observation", kind) for kind in spec.observation_spaces]
    tried += [("action", kind) for kind in spec.action_spaces]
    problems = []
    for part, kind in tried:
        try:
            _train_in(subject, part, kind)
        except Exception as error:  # noqa: BLE001 - reported with the others
            problems.append(f"{kind} {part}s ({type(error).__name__}: {error})")
    require(
        not problems,
        f"It declares, but does not train in: {'; '.join(problems)}. Support them, or take them "
        "out of the spec.",
    )


def _train_in(subject: AlgorithmSubject, part: str, kind: SpaceKind) -> None:
    observation, action = (kind if part == each else "" for each in ("observation", "action"))
    scene = scenes.world(subject.spec, observation, action)
    with subject.run(scene) as run:
        before = arrays(run.agent.policy_weights())
        run.train()
        after = arrays(run.agent.policy_weights())
    require(run.trainer.num_updates > 0, "no update was made")
    require(state_differences(before, after), "no weight changed")
    wrong = [name for name, one in after.items() if not np.isfinite(one).all()]
    require(not wrong, f"weights are not finite: {', '.join(wrong[:3])}")


@CHECKS.add("undeclared spaces are refused")
def undeclared_spaces_are_refused(subject: AlgorithmSubject) -> None:
    """A space that it does not declare is refused in a sentence, before anything is built."""
    spec = subject.spec
    undeclared = [("observation", kind) for kind in _KINDS if kind not in spec.observation_spaces]
    undeclared += [("action", kind) for kind in _KINDS if kind not in spec.action_spaces]
    if not undeclared:
        raise NotApplicableError("It declares every space.")
    for part, kind in undeclared:
        kwargs: dict[str, Any] = dict(scenes.world(spec).kwargs) | {part: kind}
        scene = scenes.Scene(WORLD, tuple(kwargs.items()), f"{kind} {part}s")
        try:
            check_run(subject.resolved(scene))
        except IncompatibleError as error:
            text = str(error)
            require(
                spec.name in text and "\n" not in text and part in text,
                f"{kind} {part}s are refused with {text!r}; expected a sentence that names "
                f"{spec.name} and its {part}s.",
            )
        else:
            raise NonConformanceError(f"{kind} {part}s are not declared, and not refused.")


@CHECKS.add("truncation bootstraps")
def truncation_bootstraps(subject: AlgorithmSubject) -> None:
    """Reward 1 for ever, cut every three steps: with γ = 0.9 each state is worth 10."""
    values, expected = _learned_values(subject, "truncation")
    worst = float(np.abs(values - expected).max())
    require(
        worst <= _TRUNCATION_TOLERANCE,
        f"With a reward of 1 in every step, truncated every 3 steps, γ = {GAMMA} and no "
        f"termination, each state is worth 10; it learned {_shown(values)}. A truncated episode "
        "goes on: bootstrap from its final observation (a value near 2.7 takes it for the end).",
    )


@CHECKS.add("termination ends the sum")
def termination_ends_the_sum(subject: AlgorithmSubject) -> None:
    """Reward 1 for three steps, then the end: with γ = 0.9 they are worth 2.71, 1.9 and 1."""
    values, expected = _learned_values(subject, "termination")
    worst = float(np.abs(values - expected).max())
    require(
        worst <= _TERMINATION_TOLERANCE,
        f"With a reward of 1 in each of 3 steps, then termination, and γ = {GAMMA} the states are "
        f"worth {_shown(expected)}; it learned {_shown(values)}. What follows a termination is "
        "worth nothing: discount 0 (values near 10 bootstrap through it).",
    )


def _learned_values(subject: AlgorithmSubject, name: str) -> tuple[Array, Array]:
    """Values `[T]` along an episode of a probe, and what they should be."""
    if subject.declared.no_value:
        raise NotApplicableError(f"It has no value to read: {subject.declared.no_value}.")
    scene = scenes.probe(subject.spec, name)
    with subject.run(scene, learning_settings(subject)) as run:
        run.train()
        probe = PROBES[dict(scene.kwargs)["probe"]].make()
        values = read_values(subject, run, probe.observations[:, np.newaxis])
    return values[:, 0], probe.expected_value(GAMMA)


def learning_settings(subject: AlgorithmSubject) -> dict[str, Any]:
    """The author's `learning`, with a discount of 0.9 wherever that is set.

    What learns no values needs none.
    """
    known = {one.name for section in subject.all_settings.values() for one in section}
    gamma = {name: GAMMA for name in ("replay.gamma", "agent.gamma") if name in known}
    found = gamma | subject.declared.learning
    is_set = gamma or any(name.endswith("gamma") for name in found)
    if not is_set and not subject.declared.no_value:
        msg = (
            "There is neither replay.gamma nor agent.gamma; set the discount to 0.9 in `learning` "
            "of its AlgorithmConformance."
        )
        raise NonConformanceError(msg)
    return found


def read_values(subject: AlgorithmSubject, run: ShortRun, observation: Any) -> Array:
    """`[T, N]` what the agent expects in whole episodes `[T, N, *obs]`."""
    path = subject.declared.value
    if path is not None:
        values = np.asarray(import_string(path)(run.agent, observation))
    else:
        values = np.stack(_extra_values(run, observation))
    expected = optree.tree_leaves(observation)[0].shape[:2]
    require(
        values.shape == expected,
        f"{path or 'The extra `value`'} gave values of shape {values.shape}, expected {expected}.",
    )
    return values


def _extra_values(run: ShortRun, observation: Any) -> list[Array]:
    num_steps, num_envs = optree.tree_leaves(observation)[0].shape[:2]
    policy = run.policy(num_envs)
    state, values = policy.initial_state(num_envs), []
    for step in range(num_steps):
        row = optree.tree_map(lambda leaf, step=step: leaf[step], observation)
        _, state, extras = policy.act(row, state, mode="greedy")
        if "value" not in extras:
            msg = (
                "Its values cannot be read: return them as the extra `value` from act, or name a "
                "function `value` in its AlgorithmConformance, or say why there is none "
                "(`no_value`)."
            )
            raise NonConformanceError(msg)
        values.append(np.asarray(extras["value"]))
    return values


def _shown(values: Array) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


@CHECKS.add("last short batch is learned")
def last_short_batch_is_learned(subject: AlgorithmSubject) -> None:
    """The last iteration, shorter than the others and than a batch, collects and learns too."""
    scene = scenes.probe(subject.spec, "constant-value")
    with subject.run(scene) as run:
        first, second, *_ = run.train().onlooker.iterations
    length, num_envs = second.env_steps - first.env_steps, run.resolved.config.launch.total_envs
    if length <= num_envs:
        raise NotApplicableError(
            "Its iterations are one step of each environment; none is shorter."
        )
    steps = STEPS // length * length + num_envs
    with subject.run(scene, {"train.steps": steps}) as run:
        run.onlooker.keeps_numbers = True
        *_, before, last = run.train().onlooker.iterations
    require(
        (before.env_steps, last.env_steps) == (steps - num_envs, steps),
        f"Of {steps} environment steps in iterations of {length}, the last two ended at "
        f"{before.env_steps} and {last.env_steps}; the last one is as short as `train.steps` asks.",
    )
    require(
        differs(before.learned, last.learned),
        f"The last {num_envs} environment steps taught it nothing; a batch that is shorter than "
        "the others is learned from like any other.",
    )


@CHECKS.add("NaN reward ends the run")
def nan_reward_ends_the_run(subject: AlgorithmSubject) -> None:
    """A reward that is not a number ends the run as diverged (exit 5); no checkpoint holds one."""
    scene = scenes.world(subject.spec, nan_after=4)
    quiet = {
        "env.check": False, "tracking.console": "off", "tracking.tensorboard": False,
        "evaluate.every_env_steps": 10 * STEPS, "evaluate.final_episodes": 1,
        "evaluate.num_envs": 1, "checkpoint.every_env_steps": STEPS // 4,
        "checkpoint.save_replay": False,
    }  # fmt: skip
    runs = subject.folder / "runs"
    try:
        train(subject.resolved(scene, quiet), run_root=runs)
    except DivergedError:
        for path in sorted(runs.glob("**/manifest.json")):
            saved = float_arrays(load_checkpoint(path.parent).state["agent"])
            is_sound = not any(np.isnan(each).any() for each in saved)
            require(is_sound, f"The checkpoint {path.parent.name} holds what is not a number.")
        return
    except RlplugError as error:
        msg = f"A NaN reward ended the run with {type(error).__name__} ({error})"
        raise NonConformanceError(f"{msg}; expected DivergedError, exit 5.") from error
    except Exception as error:
        msg = f"A NaN reward made it raise {type(error).__name__} ({error})"
        raise NonConformanceError(
            f"{msg}; let losses and weights become NaN, which ends a run as diverged (exit 5)."
        ) from error
    raise NonConformanceError(
        "A run whose rewards are NaN finished as if nothing were wrong; do not replace NaN by "
        "numbers, so that it shows in losses and weights and ends the run (exit 5)."
    )
