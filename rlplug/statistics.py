"""What several runs of one setting say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 10_000
"""Bootstrap resamples behind an interval."""


class Summary(NamedTuple):
    """Figures over runs, one value for each run."""

    mean: float
    std: float
    """Of a sample: divided by the number of runs less one; 0 for a single run."""
    interquartile_mean: float
    """Mean of the middle half; see `interquartile_mean`."""
    interval: tuple[float, float] | None
    """95 % bootstrap interval of the interquartile mean; None for a single run."""


def summarise(values: Sequence[float]) -> Summary:
    """Mean, spread, interquartile mean and its interval over runs.

    The interval comes from a generator with a fixed seed, so that the same values always give the
    same interval.
    """
    if not values:
        raise ValueError("values is empty; give one value for each run.")
    sample = np.asarray(values, np.float64)
    several = len(values) > 1
    return Summary(
        mean=float(sample.mean()),
        std=float(sample.std(ddof=1)) if several else 0.0,
        interquartile_mean=float(interquartile_mean(sample)),
        interval=_bootstrap_interval(sample) if several else None,
    )


def interquartile_mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`[..., R]` mean over R runs without the lowest and the highest quarter (rounded down).

    Agarwal et al. 2021, arXiv:2108.13264: less swayed by one lucky run than the mean, and by fewer
    runs than the median.
    """
    runs = values.shape[-1]
    cut = runs // 4
    middle: npt.NDArray[np.float64] = np.sort(values, axis=-1)[..., cut : runs - cut]
    return np.asarray(middle.mean(axis=-1))


def _bootstrap_interval(sample: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Percentiles 2.5 and 97.5 of the interquartile mean over runs drawn with replacement."""
    generator = np.random.Generator(np.random.PCG64(0))
    resamples = generator.choice(sample, size=(RESAMPLES, len(sample)))
    low, high = np.percentile(interquartile_mean(resamples), [2.5, 97.5])
    return float(low), float(high)
