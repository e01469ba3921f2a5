"""The documentation is true: links lead somewhere, names exist, commands and code run.

Commands run in this process, each page in a folder of its own and from top to bottom. Training is
shortened to a few hundred steps, in reference and results to `--dry-run`; nothing else is changed.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import io
import re
import shlex
import shutil
import tokenize
import tomllib
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from fake_site import fake_site

import rlplug
from rlplug.cli import main as cli
from rlplug.registry import hookspecs
from rlplug.registry.entries import Group, entries

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fake_site"]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
PUBLIC = DOCS / "reference" / "public-api.md"
RESULTS = ("first-command", "value-family", "actor-critic", "speed", "replay")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


class Block(NamedTuple):
    """A fenced code block."""

    language: str
    name: str
    """A file that the block is: quoted where it is in the repository, written where it is not."""
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w*) ?(\S*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def section(page: Path, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    level = re.match("#+", heading)
    assert level
    _, _, rest = page.read_text().partition(f"\n{heading}\n")
    assert rest, f"{page.name} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level[0])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


# Links ---------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_page_is_listed() -> None:
    listed = (DOCS / "README.md").read_text()
    pages = [page.relative_to(DOCS).as_posix() for page in PAGES if DOCS in page.parents]
    assert not [page for page in pages if page != "README.md" and f"({page})" not in listed]


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_claimed_was_measured(name: str) -> None:
    assert (DOCS / "results" / f"{name}.md").is_file()


# Names ---------------------------------------------------------------------------------------


@functools.cache
def names_in(file: Path) -> frozenset[str]:
    """Every identifier and every text in a Python file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        for field in ("name", "id", "attr", "arg", "asname"):
            if isinstance(value := getattr(node, field, None), str):
                found |= set(value.split("."))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(found)


@pytest.mark.parametrize("page", sorted(DOCS.glob("tour/*.md")), ids=lambda p: p.stem)
def test_names_in_a_tour_exist_in_the_file_cited_before_them(page: Path) -> None:
    file = None
    checked = 0
    for path, name in re.findall(r"\]\(([^)]+\.py)\)|`([^`]+)`", prose(page)):
        if path:
            file = (page.parent / path).resolve()
        elif file and re.fullmatch(r"[A-Za-z_][\w.]*", name):
            assert set(name.split(".")) <= names_in(file), f"{name} is not in {file}"
            checked += 1
    assert checked > 30


def test_a_tour_stays_within_a_readers_budget() -> None:
    page = DOCS / "tour" / "dqn-on-8-workers.md"
    files = re.findall(r"^## \d\..*\]\(([^)]+)\)", page.read_text(), re.MULTILINE)
    assert len(files) == 6
    assert all((page.parent / file).is_file() for file in files)


@every_page
def test_modules_and_files_in_code_spans_exist(page: Path) -> None:
    for span in re.findall(r"`([^`\n]+)`", prose(page)):
        if re.fullmatch(r"(rlplug|docs|tests|examples|benchmarks)/[\w./-]+", span):
            assert (ROOT / span).exists(), span
        elif re.fullmatch(r"rlplug(\.\w+)+(:\w+)?", span) and not is_entry_point_group(span):
            locate(span)


def is_entry_point_group(name: str) -> bool:
    return name.removeprefix("rlplug.") in typing.get_args(Group)


def locate(dotted: str) -> Any:
    """The module or object that `rlplug.errors` or `rlplug.api:train` names."""
    found: Any = rlplug
    for done, name in enumerate(re.split("[.:]", dotted)[1:]):
        if not hasattr(found, name):
            importlib.import_module(".".join(dotted.split(".")[: done + 2]))
        found = getattr(found, name)
    return found


def public_names() -> dict[str, set[str]]:
    """By module, what the page of public names lists."""
    rows = re.findall(r"^\| `(rlplug(?:\.\w+)*)` \| (.*) \|$", PUBLIC.read_text(), re.MULTILINE)
    return {
        module: set(re.findall(r"`(\w+)`", names))
        for module, names in rows
        if not is_entry_point_group(module)
    }


def test_public_names_exist() -> None:
    public = public_names()
    assert len(public) > 20
    for module, names in public.items():
        for name in names - {"bootstrap"}:  # an attribute of DqnAgent
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
    assert public["rlplug"] == set(rlplug.__all__)


def imports_of(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rlplug":
            yield from ((str(node.module), alias.name) for alias in node.names)


def outsiders() -> dict[str, list[Path]]:
    """Code that stands for a third party's: by where it is, its files."""
    plugins = (ROOT / "plugins").glob("*/src")
    folders = [ROOT / "rlplug/algorithms", ROOT / "examples", *plugins]
    folders += [ROOT / "tests/integration/plugins/rlplug-toy"]
    return {str(one.relative_to(ROOT)): sorted(one.rglob("*.py")) for one in folders}


@pytest.mark.parametrize("folder", outsiders())
def test_plugins_import_public_names_only(folder: str) -> None:
    public = public_names()
    for file in outsiders()[folder]:
        own = ".".join(file.relative_to(ROOT).parts[:3])  # the package of an algorithm
        for module, name in imports_of(file):
            known = name in public.get(module, ()) or f"{module}.{name}" in public
            assert known or module.startswith(own), f"{file}: {module}.{name} is not public"


@pytest.mark.parametrize("kind", ["algorithm", "environment"])
def test_new_packages_import_public_names_only(kind: str) -> None:
    public = public_names()
    templates = sorted((ROOT / "rlplug/cli/templates" / kind).rglob("*.py.tmpl"))
    assert len(templates) == 5
    for file in templates:
        for module, names in re.findall(
            r"^from (rlplug\S*) import (.+)$", file.read_text(), re.MULTILINE
        ):
            assert set(names.split(", ")) <= public[module], f"{file}: {module} {names}"


def test_types_of_the_package_are_published() -> None:
    assert (ROOT / "rlplug" / "py.typed").is_file()


@pytest.mark.parametrize("hook", [n for n in vars(hookspecs.HookSpecs) if n.startswith("rlplug_")])
def test_every_hook_is_documented_with_its_event(hook: str) -> None:
    function = getattr(hookspecs.HookSpecs, hook)
    event = getattr(hookspecs, inspect.signature(function).parameters["event"].annotation)
    fields = f"{event.__name__}({', '.join(event._fields)})"
    row = next(line for line in PUBLIC.read_text().splitlines() if f"`{hook}`" in line)
    assert f"`{fields}`" in row


# Commands ------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, Any]]:
    """Every built-in command and command of a command, by what one types."""
    own = [name for name, entry in cli._registered().items() if entry.distribution == "rlplug"]
    names = [*cli.COMMANDS, *own]
    for name in names:
        command = cli._load(name, names)
        yield f"rlplug {name}", command
        for inner in getattr(command, "commands", {}).values():
            yield f"rlplug {name} {inner.name}", inner


def options_of(command: Any) -> set[str]:
    return {name for one in command.params for name in one.opts if name.startswith("--")}


def options_told(text: str) -> set[str]:
    """Options in the first column of a table."""
    return set(re.findall(r"`(--[\w-]+)", " ".join(re.findall(r"^\| .*?\|", text, re.MULTILINE))))


def test_every_command_and_option_is_documented() -> None:
    page = DOCS / "reference" / "cli.md"
    shared = options_told(section(page, "## Everywhere"))
    assert shared == options_of(cli.typer.main.get_command(cli._app)) | {"--help"}
    for words, command in commands():
        assert options_told(section(page, f"## {words}")) == options_of(command) - shared, words


def test_every_exit_code_and_environment_variable_is_documented() -> None:
    from rlplug import errors

    page = DOCS / "reference" / "cli.md"
    codes = set(
        re.findall(r"\d+", " ".join(re.findall(r"^\| [\d, ]+ \|", page.read_text(), re.MULTILINE)))
    )
    kinds = [one for one in vars(errors).values() if inspect.isclass(one)]
    raised = {str(one.exit_code) for one in kinds if issubclass(one, errors.RlplugError)
              if hasattr(one, "exit_code")}  # fmt: skip
    assert codes == raised | {"0", "130", "143"}
    code = "".join(file.read_text() for file in (ROOT / "rlplug").rglob("*.py"))
    assert set(re.findall(r"\bRLPLUG_[A-Z_]+", code)) == set(
        re.findall(r"^\| `(RLPLUG_[A-Z_]+)`", page.read_text(), re.MULTILINE)
    )


# Generated pages -----------------------------------------------------------------------------


@functools.cache
def generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "reference" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.pages())


@pytest.mark.parametrize("name", ["algorithms", "configuration", "environments"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    page = DOCS / "reference" / f"{name}.md"
    assert page.read_text() == generated()[page], "run: python docs/reference/generate.py"


def test_every_registered_component_has_its_entry() -> None:
    algorithms = (DOCS / "reference" / "algorithms.md").read_text()
    environments = (DOCS / "reference" / "environments.md").read_text()
    own = [entry for entry in (*entries("algorithms"), *entries("environments"))
           if entry.distribution == "rlplug"]  # fmt: skip
    for entry in own:
        is_algorithm = entry.group == "algorithms"
        expected = f"\n### {entry.name}\n" if is_algorithm else f"\n| `{entry.name}` |"
        assert expected in (algorithms if is_algorithm else environments)


# Code ----------------------------------------------------------------------------------------

NOT_RUN = ("pip install", "nox", "python -m venv", ". .venv", "tensorboard", "python -m benchmarks")
BRIEFLY = {
    "tracking.console": "off",
    "launch.launcher": "local",  # eight workers are not started for a page: tests/integration does
    "train.warmup_env_steps": 50,
    "train.updates_per_env_step": 0.1,
    "evaluate.every_env_steps": 150,
    "evaluate.episodes": 1,
    "evaluate.final_episodes": 2,
    "evaluate.num_envs": 2,
}
ON_POLICY = {"ppo", "recurrent-ppo", "a2c", "reinforce", "appo", "impala", "cross-entropy"}
"""Have no replay to warm up: of the `train` section, the steps alone are shortened."""


def brief_settings(algorithm: str, steps: int) -> dict[str, object]:
    skipped = "train." if algorithm in ON_POLICY else "-"
    settings = {name: each for name, each in BRIEFLY.items() if not name.startswith(skipped)}
    return settings | {"train.steps": steps}


class Shell:
    """Runs the commands of one page, one after the other, in one folder."""

    def __init__(self, page: Path) -> None:
        self.checks_only = page.parent.name in {"reference", "results"}
        self.trained = 0

    def bash(self, text: str) -> None:
        for line in text.splitlines():
            for command in line.split(" && "):
                words = shlex.split(re.sub(r"^(\w+=\S* )+", "", command), comments=True)
                if words and words[0] == "rlplug":
                    self.rlplug(words[1:])
                elif words and words[0] == "python" and words[1].endswith(".py"):
                    assert (ROOT / words[1]).is_file()
                elif words:
                    assert " ".join(words).startswith(NOT_RUN), command

    def rlplug(self, arguments: list[str]) -> None:
        if arguments[0] == "train" and not {"--help", "--dry-run"} & set(arguments):
            if self.checks_only:
                arguments = [*arguments, "--dry-run"]
            else:
                arguments = [*arguments, *self.briefly(arguments[1], "--resume" in arguments)]
        assert cli.run(arguments) == 0, arguments

    def briefly(self, algorithm: str, resumes: bool) -> Iterator[str]:
        self.trained += 1  # so that a run that goes on has something left to do
        for name, value in brief_settings(algorithm, 150 * self.trained).items():
            is_fixed = name.startswith(("train.", "launch.")) and name != "train.steps"
            if not (resumes and is_fixed):
                yield f"--{name}={value}"

    def python(self, text: str, name: str) -> None:
        exec(compile(text, name or "block", "exec"), {"__name__": Path(name).stem or "block"})


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def briefly(monkeypatch, tmp_path, cache, fake_site):
    """Shorten `rlplug.train`, in an empty folder beside a copy of the examples."""
    import rlplug.api

    train = rlplug.api.train
    monkeypatch.setattr(
        rlplug.api,
        "train",
        lambda algorithm, environment, *, steps=None, **more: train(
            algorithm, environment, **(more | brief_settings(algorithm, 150))
        ),
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    folder = tmp_path / "page"
    shutil.copytree(ROOT / "examples", folder / "examples")
    monkeypatch.chdir(folder)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda p: str(p.relative_to(ROOT))
)
@pytest.mark.usefixtures("briefly")
def test_code_blocks_run(page: Path) -> None:
    shell = Shell(page)
    for language, name, text in blocks(page):
        if "/" in name and (ROOT / name).is_file():
            assert text in (ROOT / name).read_text(), f"{name} says otherwise"
            continue
        if name:
            Path(name).write_text(text)
        if language == "bash":
            shell.bash(text)
        elif language == "python":
            shell.python(text, name)
        elif language == "toml":
            tomllib.loads(text)
        elif language == "yaml":
            yaml.safe_load(text)
        else:
            assert language == "text", f"what is a {language or 'plain'} block?"


# Claims --------------------------------------------------------------------------------------


def code_lines(file: Path, name: str) -> int:
    """Lines of a definition without blank lines, comments and docstrings."""
    text = file.read_text()
    tree = ast.parse(text)
    (node,) = (
        one
        for one in ast.walk(tree)
        if getattr(one, "name", None) == name
        or (isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == name)
    )
    docstrings = {
        line
        for one in ast.walk(node)
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        for line in range(one.lineno, (one.end_lineno or 0) + 1)
    }
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in silent
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len({n for n in code - docstrings if node.lineno <= n <= (node.end_lineno or 0)})


def test_munchausen_is_at_most_forty_lines() -> None:
    page = DOCS / "how-to" / "add-an-algorithm.md"
    rows = re.findall(r"^\| .* \| `(.+)` in (\S+) \| (\d+) \|$", page.read_text(), re.MULTILINE)
    package = ROOT / "rlplug" / "algorithms" / "dqn"
    for name, file, lines in rows:
        if file == "pyproject.toml":
            assert (ROOT / file).read_text().count(f"\n{name} = ") == int(lines) == 1
        elif name.startswith("case"):
            assert (
                f"{name}:\n            return _munchausen(config)\n" in (package / file).read_text()
            )
            assert int(lines) == 2
        else:
            assert code_lines(package / file, name) == int(lines), name
    total = sum(int(lines) for _, _, lines in rows)
    assert f"| all | | {total} |" in page.read_text()
    assert total <= 40


CHECK = (
    'pip install -c constraints.txt -e ".[dev]" -e plugins/rlplug-atari -e plugins/rlplug-mujoco '
    "&& nox"
)


def test_the_readme_has_the_two_commands() -> None:
    text = [block.text for block in blocks(ROOT / "README.md")]
    assert "pip install -c constraints.txt -e . && rlplug train dqn cartpole\n" in text
    assert f"{CHECK}\n" in text


def test_continuous_integration_runs_what_the_readme_says() -> None:
    for page in ("CONTRIBUTING.md", ".ci/run"):
        assert f"\n{CHECK}\n" in (ROOT / page).read_text(), page


def test_the_readme_draws_the_whole_tree() -> None:
    tree = set(re.findall(r"^[├└]── (\S+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    folders = {f"{path.parent.name}/" for path in (ROOT / "rlplug").glob("*/__init__.py")}
    assert folders == {name for name in tree if name.endswith("/")}
    assert all((ROOT / "rlplug" / name).exists() for name in tree)


@every_page
def test_a_page_names_no_place_of_one_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.~-])/(?:home|root|tmp|Users|work|mnt)/\w", page.read_text())
    assert not re.search(r"\bissue #?\d|\bTODO\b|\bFIXME\b", page.read_text())
