"""A trained policy from a run folder, ready to act: no trainer, no replay, no environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import optree
from gymnasium.vector.utils import create_empty_array

from rlplug.checkpoint import (
    best_checkpoint,
    load_component,
    newest_checkpoint,
    read_manifest,
    versions_that_differ,
)
from rlplug.envs.actions import action_for_environment
from rlplug.envs.space_json import SPACES_FILE, spaces_from_json
from rlplug.errors import CheckpointError, RlplugError, RunFolderError, ShapeError
from rlplug.foreign_files import read_small_file
from rlplug.protocols import PolicyContext
from rlplug.registry import discovery
from rlplug.resolve import load_run
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    import gymnasium

    from rlplug.checkpoint import CheckpointInfo
    from rlplug.config import RunConfig
    from rlplug.data import Array, Tree, Weights
    from rlplug.protocols import Mode, Policy
    from rlplug.resolve import Resolved


_MOST_BYTES = 100_000_000
"""Of a file of spaces whose bounds are listed one by one."""
_UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError, OverflowError,
    RecursionError, MemoryError,
)  # fmt: skip
"""What a file of spaces raises that was not written by us."""


def load(
    run_dir: Path | str,
    checkpoint: Literal["last", "best"] | Path = "last",
    *,
    device: str = "cpu",
) -> LoadedPolicy:
    """The policy that a run has learned.

        policy = rlplug.load("runs/cartpole/dqn/20260102-030405-0")
        action = policy.act(observation)

    Args:
        run_dir: The run's folder.
        checkpoint: The newest, the one with the best evaluation, or its path.
        device: Where the policy computes.

    Raises:
        RunFolderError: if there is no run in `run_dir`.
        CheckpointError: if it has no such checkpoint, or it is damaged.
    """
    run_dir = Path(run_dir)
    resolved = load_run(run_dir)
    path = find_checkpoint(run_dir, checkpoint)
    return LoadedPolicy(resolved, run_dir, path, device=device)


def find_checkpoint(run_dir: Path, checkpoint: Literal["last", "best"] | Path) -> Path:
    """The folder of a run's checkpoint.

    Raises:
        CheckpointError: if there is none.
    """
    if checkpoint == "last":
        found, hint = newest_checkpoint(run_dir), "Train it further first."
    elif checkpoint == "best":
        found, hint = best_checkpoint(run_dir), "None was evaluated; take the last one instead."
    else:
        return Path(checkpoint)
    if found is None:
        raise CheckpointError(f"{run_dir} has no {checkpoint} checkpoint. {hint}")
    return found


class LoadedPolicy:
    """Acts for one observation, or for many at once; see `load`.

    A recurrent policy remembers from call to call: `reset()` begins a new episode. So does a batch
    of another size than the one before.
    """

    def __init__(
        self, resolved: Resolved, run_dir: Path, checkpoint: Path, *, device: str = "cpu"
    ) -> None:
        self.resolved = resolved
        self.config: RunConfig = resolved.config
        self.algorithm: str = resolved.config.algorithm
        """Registered name."""
        self.environment: str = resolved.config.environment
        """Registered name, or a Gymnasium id."""
        self.checkpoint = checkpoint
        self.info: CheckpointInfo = read_manifest(checkpoint).info
        """What the checkpoint says of itself."""
        self.observation_space, self.action_space = _read_spaces(run_dir)
        self._weights: Weights = load_component(checkpoint, "policy_weights")
        self._device = device
        self._example: Tree = create_empty_array(self.observation_space, n=1)
        self._to_environment = action_for_environment(self.action_space)
        self._acting: Policy | None = None
        self._num_envs = 0
        self._state: Tree = None

    def act(self, observation: Tree, *, mode: Mode = "greedy") -> Tree:
        """Choose an action for `[*obs]`, or actions for `[N, *obs]`, told apart by their shape.

        Returns:
            One action that `env.step` takes, or `[N, ...]` of them; within the bounds of a Box.

        Raises:
            ShapeError: the observation is neither.
        """
        batch, is_single = self._as_batch(observation)
        num_envs = len(optree.tree_leaves(batch)[0])
        if self._acting is None or num_envs != self._num_envs:
            self._acting = self.policy(num_envs, Seeds(self.config.seed).child("loaded"))
            self._state = self._acting.initial_state(num_envs)
            self._num_envs = num_envs
        action, self._state, _ = self._acting.act(batch, self._state, mode=mode)
        action = self._to_environment(action)
        return optree.tree_map(lambda part: part[0], action) if is_single else action

    @property
    def about(self) -> dict[str, Any]:
        """What this policy is, ready for JSON."""
        return {
            "algorithm": self.algorithm,
            "environment": self.environment,
            "checkpoint": str(self.checkpoint),
            "trained_env_steps": self.info.env_steps,
        }

    def reset(self, which: Array | None = None) -> None:
        """Begin new episodes: all, or those where `which` `[N]` bool is true."""
        if self._acting is not None:
            which = np.ones(self._num_envs, np.bool_) if which is None else which
            self._state = self._acting.reset(self._state, which)

    def policy(self, num_envs: int, seeds: Seeds) -> Policy:
        """A policy of its own for `num_envs` environments, with generators from `seeds`."""
        context = PolicyContext(
            observation_space=self.observation_space,
            action_space=self.action_space,
            streams=np.arange(num_envs),
            num_streams=num_envs,
            total_env_steps=int(self.config.train.steps),  # type: ignore[attr-defined]  # by every trainer
            seeds=seeds,
            device=self._device,
        )
        build = discovery.import_string(self.resolved.algorithm.policy)
        try:
            policy: Policy = build(self.config.agent, context)
            policy.set_weights(self._weights)
        except RlplugError:
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            others = versions_that_differ(self.info.versions)
            because = f" They were written with {others}." if others else ""
            raise CheckpointError(
                f"The weights in {self.checkpoint} do not fit the policy of {self.algorithm}: "
                f"{what}.{because} Install the versions that wrote them, or train again."
            ) from error
        policy.set_progress(self.info.env_steps)
        return policy

    def _as_batch(self, observation: Tree) -> tuple[Tree, bool]:
        """The observation as arrays `[N, *obs]`, and whether it was a single one."""
        arrays: Tree = optree.tree_map(
            lambda like, part: np.asarray(part, like.dtype), self._example, observation
        )
        examples, parts = optree.tree_leaves(self._example), optree.tree_leaves(arrays)
        leading: set[tuple[int, ...]] = set()
        for example, part in zip(examples, parts, strict=True):
            shape = example.shape[1:]
            split = part.ndim - len(shape)
            if part.shape[split:] != shape:
                raise ShapeError(
                    f"An observation of shape {part.shape} was given; expected {shape}, or "
                    f"{('N', *shape)} for N at once."
                )
            leading.add(part.shape[:split])
        if leading == {()}:
            return optree.tree_map(lambda part: part[None], arrays), True
        if len(leading) == 1 and len(*leading) == 1:
            return arrays, False
        raise ShapeError(
            f"The parts of the observation have the leading axes {sorted(leading)}; expected none, "
            "or one axis N that all share."
        )


def _read_spaces(run_dir: Path) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    file = run_dir / SPACES_FILE
    try:
        return spaces_from_json(json.loads(read_small_file(file, _MOST_BYTES)))
    except _UNREADABLE as error:
        raise RunFolderError(
            f"{file} cannot be read ({error}); expected the spaces that train writes there. "
            "Is it the folder of a run?"
        ) from error
