"""A rollout as it comes in from a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import optree

if TYPE_CHECKING:
    from rlplug.data import Rollout, Tree
    from rlplug.distributed.pool import Place


def received(
    rollout: Rollout, place: Place, env_steps: int, *, began: int | None = None, at_once: int = 1
) -> Rollout:
    """The rollout in memory of its own, with the run's step count in place of the worker's.

    Ray hands out arrays that cannot be written to and that hold on to shared memory.

    Args:
        rollout: As the worker sent it.
        place: The worker's.
        env_steps: The run's count before this rollout is counted.
        began: The run's count when the worker began; None is `env_steps`.
        at_once: Workers that acted at the same time, whose steps the worker did not see.
    """
    fields: Tree = tuple(rollout)
    arrays: Tree = optree.tree_map(_owned, fields, none_is_leaf=True)
    is_restart = place.is_fresh and place.life > 0
    place.is_fresh = False
    start = rollout.env_steps - rollout.num_env_steps  # as the worker was told
    began = env_steps if began is None else began
    return type(rollout)(*arrays)._replace(
        env_steps=env_steps + rollout.num_env_steps,
        # all workers are taken to be equally fast
        episodes=tuple(
            episode._replace(env_steps=began + (episode.env_steps - start) * at_once)
            for episode in rollout.episodes
        ),
        is_restart=is_restart,
    )


def _owned(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) and not leaf.flags.writeable else leaf
