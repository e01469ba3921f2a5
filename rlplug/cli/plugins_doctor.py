"""`rlplug plugins doctor`: import each plugin in a process of its own, and say what is wrong."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from rlplug.errors import PluginError, UnknownNameError
from rlplug.registry import doctor as examiner
from rlplug.registry.entries import distributions, normalise
from rlplug.registry.names import suggest

if TYPE_CHECKING:
    from rlplug.registry.doctor import Diagnosis
    from rlplug.registry.entries import Distribution


def doctor(
    name: Annotated[str | None, typer.Argument(help="Only this one; else all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Import each plugin in a process of its own: cost, side effects, conflicts, faults."""
    from concurrent.futures import ThreadPoolExecutor

    wanted = [find_distribution(name)] if name else list(distributions().values())
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        found = list(pool.map(examiner.examine, wanted))
    if as_json:
        print(json.dumps([one._asdict() for one in found], indent=2))
    else:
        for one in found:
            _show(one)
    if faulty := [one.distribution for one in found if one.faults]:
        raise PluginError(f"Faults were found in {', '.join(faulty)}.")


def find_distribution(name: str) -> Distribution:
    """An installed plugin by its name.

    Raises:
        UnknownNameError: with the nearest names.
    """
    known = distributions()
    if found := known.get(normalise(name)):
        return found
    near = "".join(f" Did you mean '{one}'?" for one in suggest(name, known)[:1])
    msg = f"No plugin '{name}' is installed.{near} There are: {', '.join(known)}."
    raise UnknownNameError(msg)


def _show(one: Diagnosis) -> None:
    times = f"specs {one.spec_seconds:.2f} s, the rest {one.seconds:.2f} s"
    number = len(one.faults)
    state = f"{number} fault{'s' * (number > 1)}" if number else "sound"
    print(f"{one.distribution} {one.version}: {state} ({times})")
    for kind, texts in (("fault", one.faults), ("remark", one.remarks)):
        for text in texts:
            print(f"  {kind:<7} {text}")
    for text in one.tracebacks:
        print("  " + text.rstrip().replace("\n", "\n  "))
