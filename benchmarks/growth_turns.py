"""Wall time of what is compared, taken in turn, and rows of tables about it."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BLOCKS_OF_A_DOUBLING = 2
"""Of a bar."""

Row = TypeVar("Row")


class Effort(NamedTuple):
    """How long one looks."""

    turns: int
    seconds: float
    """Of each contender in each turn, or one call where that takes longer."""


class Contender(NamedTuple):
    """What is timed, and on how many threads."""

    call: Callable[[], object]
    threads: int = 1


def in_turn(contenders: Sequence[Contender], effort: Effort) -> list[float]:
    """Median seconds of a call of each.

    Wall time: the processor's would add up the threads.
    """
    counts = [_calls_in(effort.seconds, contender) for contender in contenders]
    taken: list[list[float]] = [[] for _ in contenders]
    for _ in range(effort.turns):
        for contender, count, mine in zip(contenders, counts, taken, strict=True):
            torch.set_num_threads(contender.threads)
            if contender.threads > 1:
                contender.call()  # its threads start
            mine.append(_seconds(contender, count))
    torch.set_num_threads(1)
    return [statistics.median(each) for each in taken]


def _calls_in(seconds: float, contender: Contender) -> int:
    torch.set_num_threads(contender.threads)
    contender.call()  # warms up
    return max(1, int(seconds / _seconds(contender, 1)))


def _seconds(contender: Contender, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        contender.call()
    return (time.perf_counter() - began) / count


def from_where_on(rows: Sequence[Row], is_so: Callable[[Row], bool]) -> Row | None:
    """The first of the last rows that all are so; None where the very last is not."""
    found = None
    for row in reversed(rows):
        if not is_so(row):
            break
        found = row
    return found


def head(*names: str) -> list[str]:
    """The first two lines of a table."""
    return [cells(*names), f"|{'---|' * len(names)}"]


def cells(*values: object) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, values))} |"


def bars(values: Sequence[float]) -> list[str]:
    """A bar for each value: the least has one block, and doublings add the same everywhere."""
    least = min(values)
    return ["█" * (1 + round(BLOCKS_OF_A_DOUBLING * math.log2(value / least))) for value in values]


def three(value: float) -> str:
    """A figure with three digits that count."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{digits}f}"
