"""What the kit offers is documented, and made of public names alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from broken_environments import WALK
from reference_agents import Q

import rlplug.testing
from rlplug.testing import algorithm_checks, environment_checks

ROOT = Path(__file__).parents[3]
PUBLIC = (ROOT / "docs" / "reference" / "public-api.md").read_text()
HOW_TO = (ROOT / "docs" / "how-to" / "check-a-plugin.md").read_text()


def public_names() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(rlplug[\w.]*)` \| (.*) \|$", PUBLIC, re.MULTILINE)
    found: dict[str, set[str]] = {}
    for module, names in rows:
        found.setdefault(module, set()).update(re.findall(r"`(\w+)`", names))
    return found


def test_the_kit_uses_public_names_only() -> None:
    public = public_names()
    for file in sorted((ROOT / "rlplug" / "testing").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("rlplug"):
                continue
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_own = name.startswith("rlplug.testing")
                known = alias.name in public.get(str(node.module), ()) or name in public
                assert is_own or known, f"{file.name}: {name}"


def test_every_check_is_documented_and_says_what_it_proves() -> None:
    checks = [*algorithm_checks(Q, tier="learns"), *environment_checks(WALK, tier="learns")]
    for check in checks:
        assert check.proves.endswith("."), check.name
        name = re.sub(r"^solves .*", "solves ...", check.name).removeprefix("1,000 ")
        assert f"| `{name}` |" in HOW_TO, check.name


def test_public_names_are_there() -> None:
    assert set(rlplug.testing.__all__) == public_names()["rlplug.testing"]
    assert all(hasattr(rlplug.testing, name) for name in rlplug.testing.__all__)
