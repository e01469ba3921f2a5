"""The shape of the package: import directions, heavy imports, and a reader's budget."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rlplug"
FILES = sorted(PACKAGE.rglob("*.py"))
BANNED_STEMS = {"utils", "common", "helpers", "misc", "core", "base", "types", "manager"}
FOUNDATION = {
    "data", "config", "seeding", "errors", "protocols", "specs", "durable", "versions", "changes",
    "foreign_files",
}  # fmt: skip

# What each part may import from rlplug at run time, beside the foundation and itself.
ALLOWED = {
    **{part: set() for part in FOUNDATION},
    "presets": set(),
    "statistics": set(),
    "ops": set(),
    "nn": {"ops", "registry"},
    "replay": {"ops"},
    "settings": set(),
    "registry": {"settings"},
    "envs": {"registry"},
    "checkpoint": set(),
    "run_folder": {"settings"},
    "collect": {"envs"},
    "algorithms": {"ops", "nn", "replay"},
    "testing": {
        "nn", "envs", "collect", "evaluate", "replay", "train", "resolve", "registry", "checkpoint",
    },
    "tracking": set(),
    "resolve": {"registry", "envs", "settings"},
    "video": {"envs"},
    "loaded": {"resolve", "checkpoint", "run_folder", "envs", "registry"},
    "evaluate": {
        "collect", "envs", "loaded", "video", "resolve", "registry", "run_folder", "checkpoint",
    },
    "distributed": {"collect", "envs", "registry", "replay", "resolve"},
    "train": {
        "distributed", "envs", "collect", "evaluate", "checkpoint", "run_folder", "tracking",
        "replay", "resolve", "registry",
    },
    "api": {"resolve", "train", "evaluate", "loaded"},
    "cli": {
        "registry", "resolve", "train", "evaluate", "statistics", "errors", "run_folder", "api",
        "checkpoint", "testing",
    },
    "__main__": {"cli"},
    "__init__": {"api", "evaluate", "loaded"},
}  # fmt: skip


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py") or "__init__"


def run_time_imports(tree: ast.Module) -> set[str]:
    """Modules imported when the code runs: those under `if TYPE_CHECKING` are names only."""
    hidden = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.dump(test.test)
        for node in ast.walk(test)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    imported = run_time_imports(ast.parse(path.read_text()))
    ours = {name.split(".")[1] for name in imported if name.startswith("rlplug.")}
    assert ours <= ALLOWED[part] | FOUNDATION | {part}
    assert part == "distributed" or not {n for n in imported if n.split(".")[0] == "ray"}


def test_the_parts_form_no_cycle() -> None:
    done: set[str] = set()
    rest = dict(ALLOWED)
    while ready := [part for part, needs in rest.items() if needs <= done]:
        done |= set(ready)
        for part in ready:
            del rest[part]
    assert not rest


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_reader_is_not_overwhelmed(path: Path) -> None:
    text = path.read_text()
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 60
    ]
    assert not long
    assert text.count("\n") <= 400
    assert path.stem not in BANNED_STEMS


@pytest.mark.parametrize(
    "module", ["rlplug", "rlplug.cli.main", "rlplug.registry", "rlplug.config", "rlplug.specs"]
)
def test_light_modules_import_no_heavy_ones(module: str) -> None:
    code = f"import sys, {module}; print(*{{'torch', 'gymnasium', 'ray'}} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
