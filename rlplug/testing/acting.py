"""What must hold of an algorithm's policy, tried on one trained run."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from rlplug.registry.discovery import import_string
from rlplug.testing.check import Checks, NonConformanceError, NotApplicableError, require
from rlplug.testing.comparison import arrays, same_array, state_differences
from rlplug.testing.global_state import global_state_changes

if TYPE_CHECKING:
    from rlplug.data import Array, Tree
    from rlplug.protocols import Mode, Policy
    from rlplug.testing.short_run import ShortRun
    from rlplug.testing.subject import AlgorithmSubject

CHECKS = Checks()
_MODES: tuple[Mode, ...] = ("explore", "sample", "greedy")


@CHECKS.add("acting changes nothing")
def acting_changes_nothing(subject: AlgorithmSubject) -> None:
    """`Policy.act` changes neither the observation it is given, nor the state, nor weights."""
    run = subject.trained
    for mode in _MODES:
        policy, observation = run.policy(8), run.observations(8)
        state = policy.initial_state(8)
        given = copy.deepcopy((observation, state))
        weights = arrays(run.agent.policy_weights())
        for _ in range(3):
            policy.act(observation, state, mode=mode)
        for what, before, after in zip(
            ("observation", "state"), given, (observation, state), strict=True
        ):
            require(
                not state_differences(before, after),
                f"act(mode={mode!r}) wrote into the {what} it was given, which the collector "
                "stores; copy before you change it.",
            )
        changed = state_differences(weights, arrays(run.agent.policy_weights()))
        require(
            not changed,
            f"act(mode={mode!r}) changed the weights {', '.join(changed[:3])}; only update() may. "
            "Statistics belong to the agent and change in update().",
        )


@CHECKS.add("greedy is deterministic")
def greedy_is_deterministic(subject: AlgorithmSubject) -> None:
    """The same observation and state give the same greedy action, whoever asks and how often."""
    run = subject.trained
    observation = run.observations(64)
    policies = [run.policy(64, seed=5), run.policy(64, seed=5), run.policy(64, seed=6)]
    answers = [actions_of(policy, observation, "greedy", calls=3) for policy in policies]
    first = answers[0][0]
    for seed, answer in zip((5, 5, 6), answers, strict=True):
        for call, action in enumerate(answer):
            require(
                _same(first, action),
                "act(mode='greedy') gave different actions for the same observation (call "
                f"{call + 1}, generators seeded {seed}); greedy must draw nothing: take the mode "
                "of the distribution, and switch noise off.",
            )


@CHECKS.add("each environment explores by itself")
def each_environment_explores_by_itself(subject: AlgorithmSubject) -> None:
    """Environments that show the same draw their own actions: no coin decides for all of them."""
    run, num_envs, calls = subject.trained, 8, 24
    observation = optree.tree_map(
        lambda leaf: np.repeat(leaf[:1], num_envs, axis=0), run.observations(1)
    )
    draws_anything = False
    for mode in ("explore", "sample"):
        policy = run.policy(num_envs)
        policy.set_progress(0)
        answers = actions_of(policy, observation, mode, calls=calls)
        over_time = any(not _same(answers[0], later) for later in answers[1:])
        over_envs = any(_rows_differ(answer) for answer in answers)
        draws_anything |= over_time or over_envs
        require(
            over_envs or not over_time,
            f"act(mode={mode!r}) drew new actions {calls} times, and each time the same one for "
            f"all {num_envs} environments; draw [N, ...] numbers, one for each environment.",
        )
    if not draws_anything:
        raise NotApplicableError("Its policy draws nothing.")


@CHECKS.add("policy travels to workers")
def policy_travels_to_workers(subject: AlgorithmSubject) -> None:
    """`Policy(config, context)` and published weights, pickled, act as the agent's own does."""
    run = subject.trained
    context = run.context_for(3)
    try:
        package = pickle.dumps((run.agent.policy_weights(), run.resolved.config.agent, context))
        weights, config, context = pickle.loads(package)  # noqa: S301 - what was pickled above
    except Exception as error:
        msg = (
            f"Config, context and weights do not survive pickle ({type(error).__name__}: {error}); "
            "workers are other processes: keep lambdas and open files out of them."
        )
        raise NonConformanceError(msg) from error
    far: Policy = import_string(subject.spec.policy)(config, context)
    far.set_weights(weights)
    far.set_progress(run.collector.env_steps)
    near = run.policy(3)
    observation = run.observations(3)
    for mode in _MODES:
        pairs = zip(*(actions_of(p, observation, mode, calls=4) for p in (near, far)), strict=True)
        require(
            all(_same(here, there) for here, there in pairs),
            "A policy built from its config and set_weights(policy_weights()) acts otherwise than "
            f"the agent's own in mode {mode!r}: policy_weights() must hold all that acting "
            "depends on, and generators must come from context.seeds by name.",
        )


@CHECKS.add("actions are in the space")
def actions_are_in_the_space(subject: AlgorithmSubject) -> None:
    """Actions have the dtype and shape of the action space, and discrete ones are within it."""
    run = subject.trained
    space = run.spaces[1]
    for mode in _MODES:
        (action,) = actions_of(run.policy(4), run.observations(4), mode, calls=1)
        for index in range(4):
            one = optree.tree_map(lambda leaf, index=index: np.asarray(leaf)[index], action)
            _require_fits(one, space, f"act(mode={mode!r})")


def _require_fits(action: Any, space: Any, what: str) -> None:
    """Boxes may be left, for collectors clip; all else is exact."""
    import gymnasium

    if isinstance(space, gymnasium.spaces.Dict):
        for key, part in space.spaces.items():
            _require_fits(action[key], part, f"{what}[{key!r}]")
        return
    if isinstance(space, gymnasium.spaces.Tuple):
        for index, part in enumerate(space.spaces):
            _require_fits(action[index], part, f"{what}[{index}]")
        return
    if isinstance(space, gymnasium.spaces.Box):
        fits = action.dtype == space.dtype and action.shape == space.shape
    elif isinstance(space, gymnasium.spaces.Discrete):
        fits = action.dtype == space.dtype and bool(space.contains(action))
    else:
        fits = action.dtype.kind in "iub" and bool(space.contains(action))
    require(
        fits,
        f"{what} returned an action of shape {action.shape} {action.dtype} ({action}), expected "
        f"one of {space}; return numpy arrays [N, ...] in the space's own terms and dtype.",
    )


@CHECKS.add("no global state changes")
def no_global_state_changes(subject: AlgorithmSubject) -> None:
    """Training and acting leave random generators, dtype, threads and the like as they were."""

    def train_and_act() -> None:
        with subject.run(isolate=False) as run:
            run.train()
            _explore(run)

    changed = global_state_changes(train_and_act)
    require(
        not changed,
        f"A run changed {', '.join(changed)} of the whole process; draw from context.seeds, and "
        "set nothing that is global.",
    )


def _explore(run: ShortRun) -> None:
    for mode in _MODES:
        actions_of(run.policy(2), run.observations(2), mode, calls=1)


def actions_of(policy: Policy, observation: Tree, mode: Any, *, calls: int) -> list[Tree]:
    """Actions of several calls, each from the start of an episode."""
    state = policy.initial_state(len(optree.tree_leaves(observation)[0]))
    answers = []
    for _ in range(calls):
        step = policy.act(copy.deepcopy(observation), copy.deepcopy(state), mode=mode)
        answers.append(optree.tree_map(np.array, step.action))
    return answers


def _same(left: Tree, right: Tree) -> bool:
    pairs = zip(optree.tree_leaves(left), optree.tree_leaves(right), strict=True)
    return all(same_array(one, other) for one, other in pairs)


def _rows_differ(action: Tree) -> bool:
    return any(_differs_by_row(leaf) for leaf in optree.tree_leaves(action))


def _differs_by_row(leaf: Array) -> bool:
    return bool((leaf != leaf[:1]).any())
