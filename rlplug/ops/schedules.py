"""Values that change over a run, as pure functions of the environment steps so far.

Nothing here counts: the same step gives the same value, so a resumed run continues its schedules
without having stored them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Literal, assert_never

if TYPE_CHECKING:
    from rlplug.config import PiecewiseSchedule, Schedule

Decay = Literal["constant", "linear", "cosine", "square-root"]


def schedule_value(schedule: Schedule, env_steps: int, total_env_steps: int) -> float:
    """The schedule's value after `env_steps` of a run of `total_env_steps`.

    A linear schedule is measured from step 0 of the run, whether learning has begun or not: a long
    warm-up shortens what learning sees of it, and never stops it.
    """
    match schedule.kind:
        case "constant":
            return schedule.value
        case "linear":
            length = schedule.env_steps or schedule.fraction * total_env_steps
            progress = min(max(env_steps / length, 0.0), 1.0)
            return (1 - progress) * schedule.start + progress * schedule.end
        case "exponential":
            left = math.exp2(-env_steps / schedule.half_life_env_steps)
            return schedule.end + (schedule.start - schedule.end) * left
        case "piecewise":
            return _interpolate(schedule, env_steps)
    assert_never(schedule.kind)


def _interpolate(schedule: PiecewiseSchedule, env_steps: int) -> float:
    """On the line between the two points around `env_steps`; the outermost values beyond them."""
    steps = [step for step, _ in schedule.points]
    after = bisect_right(steps, env_steps)
    if after in {0, len(steps)}:
        return schedule.points[max(after - 1, 0)][1]
    (left, start), (right, end) = schedule.points[after - 1 : after + 1]
    progress = (env_steps - left) / (right - left)
    return (1 - progress) * start + progress * end


def learning_rate_factor(decay: Decay, final_fraction: float, progress: float) -> float:
    """Share of the learning rate that is left at `progress` in [0, 1] of the run.

    Every decay goes from 1 to `final_fraction` as `final_fraction + (1 - final_fraction) * s(p)`:

    - linear: s = 1 − p
    - cosine: s = (1 + cos πp) / 2   (eq. 5 without restarts, Loshchilov & Hutter 2017,
      arXiv:1608.03983)
    - square-root: s = √(1 − p)      (ours: stays high for longer than linear, and ends steeply)
    """
    progress = min(max(progress, 0.0), 1.0)
    match decay:
        case "constant":
            return 1.0
        case "linear":
            shape = 1 - progress
        case "cosine":
            shape = (1 + math.cos(math.pi * progress)) / 2
        case "square-root":
            shape = math.sqrt(1 - progress)
        case _:
            assert_never(decay)
    return final_fraction + (1 - final_fraction) * shape
