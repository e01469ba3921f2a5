"""What must hold of whole runs: the same again, in halves, elsewhere, and under every autoreset."""

from __future__ import annotations

import base64
import binascii
import io
import pickletools
from typing import TYPE_CHECKING, Any

import numpy as np
import optree
import torch

from rlplug.collect.local import LocalCollector
from rlplug.envs.adapter import StepAdapter
from rlplug.envs.make import make_vector
from rlplug.errors import ConfigError, RlplugError
from rlplug.seeding import Seeds
from rlplug.testing import scenes
from rlplug.testing.acting import actions_of
from rlplug.testing.check import Checks, NonConformanceError, NotApplicableError, require
from rlplug.testing.comparison import arrays, differs, state_differences
from rlplug.testing.continuation import continued_elsewhere, saved_and_loaded
from rlplug.testing.subject import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.data import Array, Rollout
    from rlplug.testing.subject import AlgorithmSubject

CHECKS = Checks()


@CHECKS.add("same seed, same weights")
def same_seed_same_weights(subject: AlgorithmSubject) -> None:
    """Two runs from one seed end with the same weights bit for bit; another begins otherwise."""
    first, again = (_final_weights(subject) for _ in range(2))
    changed = state_differences(first, again)
    require(
        not changed,
        f"Two runs from seed 0 ended with different {', '.join(changed[:3])}; take every generator "
        "from context.seeds, and iterate over nothing whose order is by chance.",
    )
    require(
        state_differences(*(_beginning(subject, seed) for seed in (0, 1))),
        "Under the seeds 0 and 1 it begins with the same weights and explores alike; both must "
        "follow context.seeds. An algorithm that draws nothing declares this an expected failure.",
    )


def _final_weights(subject: AlgorithmSubject) -> dict[str, Array]:
    with subject.run() as run:
        return arrays(run.train().agent.policy_weights())


def _beginning(subject: AlgorithmSubject, seed: int) -> Any:
    """Initial weights, and what is done at first in the same places."""
    with subject.run(over={"seed": seed}) as run:
        policy = run.parts.policy
        assert policy is not None, "conformance runs act in this process"
        policy.set_progress(0)
        num_envs = run.resolved.config.launch.total_envs
        acted = actions_of(policy, run.observations(num_envs), "explore", calls=16)
        return [arrays(run.agent.policy_weights()), acted]


@CHECKS.add("half and a resumed half are the whole")
def half_and_a_resumed_half_are_the_whole(subject: AlgorithmSubject) -> None:
    """A run saved half-way and continued in a new process ends as the unbroken run does."""
    with subject.run() as whole:
        expected = saved_and_loaded(whole.train().state(), subject.folder / "whole")
        actions = whole.actions()
    with subject.run(stop_at=STEPS // 2) as half:
        half.train()
        first, done = half.actions(), half.collector.env_steps
        state = half.state()
    require(done < STEPS, f"The run did not stop where it was told to, at {STEPS // 2} steps.")
    try:
        ended, rest = continued_elsewhere(subject.resolved(), state, done, subject.folder)
    except RlplugError as error:
        msg = f"The run could not be continued in a new process: {error}"
        raise NonConformanceError(msg) from error
    changed = state_differences(expected["agent"], ended["agent"])
    require(
        not changed,
        f"Continued from a checkpoint, the agent ended with other {_some(changed)} than without "
        "the break; state_dict() must hold everything that update() changes (targets, moments, "
        "counters, generators), and load_state_dict() must put all of it back.",
    )
    require(
        not differs(actions, first + rest),
        "Continued from a checkpoint, the policy chose other actions than without the break; its "
        "state_dict() must hold its generators and noise.",
    )
    changed = state_differences(expected["trainer"], ended["trainer"])
    require(not changed, f"The trainer's state does not come back: {_some(changed)} differ.")


@CHECKS.add("checkpoint holds no pickle")
def checkpoint_holds_no_pickle(subject: AlgorithmSubject) -> None:
    """What is saved is arrays, numbers and text, and none of them is a pickle in disguise."""
    state = subject.trained.state()
    try:
        saved_and_loaded(state, subject.folder / "plain")
    except RlplugError as error:
        msg = (
            f"The state cannot be saved: {error} Keep to dicts, lists, arrays, tensors, numbers, "
            "text and None."
        )
        raise NonConformanceError(msg) from error
    found = [name for name, content in _byte_strings(state, "") if _is_pickle(content)]
    require(
        not found,
        f"{_some(found)} of the state is a pickle; loading one runs code. Save plain arrays.",
    )


def _byte_strings(state: Any, name: str) -> Iterator[tuple[str, bytes]]:
    """(dotted name, content) of everything in a state that may hide bytes."""
    if isinstance(state, dict):
        for key, part in state.items():
            yield from _byte_strings(part, f"{name}.{key}" if name else str(key))
    elif isinstance(state, list | tuple):
        for index, part in enumerate(state):
            yield from _byte_strings(part, f"{name}.{index}")
    elif isinstance(state, str):
        yield name, state.encode("latin-1", "replace")
        try:
            yield name, base64.b64decode(state, validate=True)
        except (binascii.Error, ValueError):
            return
    elif isinstance(state, np.ndarray | torch.Tensor):
        array = np.asarray(state)
        if array.dtype.itemsize == 1:
            yield name, array.tobytes()


def _is_pickle(content: bytes) -> bool:
    """Whether bytes are a pickle, or an archive of torch's around one; nothing is run."""
    if content.startswith(b"PK\x03\x04"):
        return b"data.pkl" in content
    if not content.startswith(b"\x80") or not content.rstrip(b"\0").endswith(b"."):
        return False
    try:
        return any(op.name == "STOP" for op, _, _ in pickletools.genops(io.BytesIO(content)))
    except (ValueError, UnicodeDecodeError):
        return False


@CHECKS.add("autoreset modes agree")
def autoreset_modes_agree(subject: AlgorithmSubject) -> None:
    """Under each of Gymnasium's autoreset modes the policy makes the same transitions."""
    run = subject.trained
    once, twice = actions_of(run.policy(64), run.observations(64), "greedy", calls=2)
    if state_differences(once, twice):
        raise NotApplicableError("Its greedy mode draws, which another check finds.")
    streams = {mode: _transitions(subject, mode) for mode in ("SameStep", "NextStep", "Disabled")}
    for mode in ("NextStep", "Disabled"):
        for stream, (left, right) in enumerate(
            zip(streams["SameStep"], streams[mode], strict=True)
        ):
            for row in range(min(len(left), len(right))):
                changed = [
                    name
                    for name, (one, other) in zip(
                        ("observation", "action", "reward", "terminated", "episode_over"),
                        zip(left[row], right[row], strict=True),
                        strict=True,
                    )
                    if not _close(one, other)
                ]
                require(
                    not changed,
                    f"Transition {row} of environment {stream} has another {_some(changed)} under "
                    f"{mode} than under SameStep; the policy must forget an episode in "
                    "reset(state, which), and must not count calls of act.",
                )


def _transitions(subject: AlgorithmSubject, mode: str) -> list[list[tuple[Any, ...]]]:
    """By environment, its transitions under the greedy policy of the trained weights' start."""
    num_envs = 3
    resolved = subject.resolved(scenes.script(subject.spec, mode))
    env_config: Any = resolved.config.env
    adapter = StepAdapter(make_vector(resolved.environment, env_config, num_envs), name="script")
    with subject.run(scenes.script(subject.spec, "SameStep")) as run:
        policy = run.policy(num_envs)
        collector = LocalCollector(
            adapter, policy, streams=np.arange(num_envs), seeds=Seeds(0), mode="greedy"
        )
        rollouts = collector.collect(16 * num_envs)
    collector.close()
    return [
        [row for rollout in rollouts for row in _rows(rollout, stream)]
        for stream in range(num_envs)
    ]


def _rows(rollout: Rollout, stream: int) -> Iterator[tuple[Any, ...]]:
    for step in np.flatnonzero(rollout.valid[:, stream]):
        at = (step, stream)
        yield (
            optree.tree_map(lambda leaf, at=at: leaf[at].copy(), rollout.observation),
            optree.tree_map(lambda leaf, at=at: leaf[at].copy(), rollout.action),
            rollout.reward[at],
            rollout.terminated[at],
            rollout.episode_over[at],
        )


def _close(left: Any, right: Any) -> bool:
    """Equal up to the rounding of sums that are taken in another order."""
    pairs = zip(optree.tree_leaves(left), optree.tree_leaves(right), strict=True)
    return all(np.allclose(one, other, rtol=1e-4, atol=1e-5) for one, other in pairs)


@CHECKS.add("one Ray worker is the local run", tier="learns")
def one_ray_worker_is_the_local_run(subject: AlgorithmSubject) -> None:
    """With one worker in another process the run is, bit for bit, the one in this process."""
    launch = {"launch.workers": 1, "launch.envs_per_worker": subject.small["launch.num_envs"]}
    if not subject.spec_module:
        raise NotApplicableError("It was not looked up by name, which is how workers find it.")
    try:
        subject.resolved(over=launch | {"launch.launcher": "ray"})
    except ConfigError as error:
        raise NotApplicableError(f"There is no Ray launcher: {error}") from error
    ends = []
    for launcher in ("local", "ray"):
        with subject.run(over=launch | {"launch.launcher": launcher}) as run:
            run.train()
            ends.append((run.actions(), arrays(run.agent.policy_weights())))
    require(
        not differs(ends[0][0], ends[1][0]),
        "A worker chose other actions than the local run; what acting depends on must be in the "
        "policy's config, context and weights.",
    )
    changed = state_differences(ends[0][1], ends[1][1])
    require(not changed, f"With a worker the weights ended elsewhere: {_some(changed)} differ.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
