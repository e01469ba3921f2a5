"""Twenty fake installed plugins, most of them broken in ways that plugins are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fake_site import FakeSite

SPEC = """
from rlplug.specs import AlgorithmSpec
def spec(name):
    return AlgorithmSpec(
        name=name, summary="A test", paper="none", config="rlplug.config:Config", agent="x:Y",
        policy="x:Y", observation_spaces=("box",), action_spaces=("discrete",),
    )
"""


class Culprit(NamedTuple):
    """A plugin, the algorithm it offers, and what is said about it."""

    body: str
    algorithm: str
    state: str
    said: str
    requires: str = "rlplug"
    is_failure: bool = True
    """Whether asking for it by name fails."""


CULPRITS = {
    "raises": Culprit("raise KeyError('lost')", "raises", "failed", "KeyError: 'lost'"),
    "exits": Culprit("import sys; sys.exit(0)", "exits", "failed", "calls sys.exit(0)"),
    "ends": Culprit("import os; os._exit(5)", "ends", "failed", "with status 5"),
    "needs": Culprit("import no_such_simulator", "needs", "failed", "no_such_simulator"),
    "wrong": Culprit("SPEC = 3", "wrong", "failed", "is of type int; expected"),
    "renamed": Culprit("SPEC = spec('other')", "renamed", "failed", "but its spec 'other'"),
    "invalid": Culprit("SPEC = spec('Not a name')", "Not a name", "failed", "ValidationError"),
    "hangs": Culprit("import time; time.sleep(30)", "hangs", "failed", "takes more than"),
    "future": Culprit("1 / 0", "future", "incompatible", "it needs rlplug>=99", "rlplug>=99"),
    "left": Culprit("SPEC = spec('twin')", "twin", "ok", "'twin' is offered by several"),
    "right": Culprit("SPEC = spec('twin')", "twin", "ok", "'twin' is offered by several"),
    "prints": Culprit(
        "print('hello'); SPEC = spec('prints')",
        "prints",
        "ok",
        "prints when imported: 'hello'",
        is_failure=False,
    ),
    "heavy": Culprit(
        "import torch; SPEC = spec('heavy')", "heavy", "ok", "imports torch", is_failure=False
    ),
    "shadow": Culprit(
        "SPEC = spec('dqn')", "dqn", "ok", "'dqn' is that of rlplug", is_failure=False
    ),
}
HARMLESS = [f"fine-{number}" for number in range(6)]


def install(site: FakeSite) -> None:
    """Write all of them into a folder of distributions."""
    for name, culprit in CULPRITS.items():
        module = f"crowd_{name}"
        points = {"algorithms": {culprit.algorithm: f"{module}:SPEC"}}
        files = {f"{module}.py": f"{SPEC}\n{culprit.body}\n"}
        site.install(f"rlplug-{name}", files, points, requires=culprit.requires)
    for name in HARMLESS:
        module = f"crowd_{name.replace('-', '_')}"
        points = {"algorithms": {name: f"{module}:SPEC"}}
        site.install(f"rlplug-{name}", {f"{module}.py": f"{SPEC}\nSPEC = spec('{name}')"}, points)
