"""One contender of `benchmarks.replay`: it fills its replay, then draws whenever it is asked.

    python -m benchmarks.replay_contender sb3 '["vectors", 10000, false, false]'

It answers in lines of JSON: first with the bytes of its arrays, then to each line
`["singly", 100, 32]` (a way to draw, how many minibatches, of what size) with the seconds it took.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.replay_work import Work

if TYPE_CHECKING:
    from benchmarks.replay_work import Filled


def main() -> None:
    """Fill, then answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not pass for an answer
    logging.disable(logging.INFO)
    module = import_module(f"benchmarks.replay_{sys.argv[1]}")
    filled: Filled = module.fill(Work(*json.loads(sys.argv[2])))
    print(json.dumps(filled.nbytes), file=answers)
    for line in sys.stdin:
        way, count, batch_size = json.loads(line)
        wall, processor = time.perf_counter(), time.process_time()
        filled.draws[way](count, batch_size)
        spent = {
            "processor": time.process_time() - processor,
            "wall": time.perf_counter() - wall,
        }
        print(json.dumps(spent), file=answers)


if __name__ == "__main__":
    main()
