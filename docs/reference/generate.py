"""Write the parts of the reference that the code knows best.

python docs/reference/generate.py

Algorithms come from their specs and the docstrings of their agents, settings from the config
models, environments from their specs. A test holds that the committed pages are up to date.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rlplug import config as core
from rlplug.cli.overrides import typed
from rlplug.registry import discovery
from rlplug.resolve import flatten, resolve, settings
from rlplug.specs import SpaceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rlplug.specs import AlgorithmSpec

HERE = Path(__file__).parent
MARK = "<!-- Below this line: python docs/reference/generate.py -->"
PROJECT = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILT_IN = PROJECT["entry-points"]


def main() -> None:
    """Rewrite what stands below the mark of each page."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """What each page should be: its own beginning, then what is generated."""
    parts = {
        "algorithms.md": algorithm_entries(),
        "configuration.md": setting_tables(),
        "environments.md": environment_table(),
    }
    written = {}
    for name, lines in parts.items():
        own, _, _ = (HERE / name).read_text(encoding="utf-8").partition(MARK)
        written[HERE / name] = f"{own}{MARK}\n\n" + "\n".join(lines).rstrip() + "\n"
    return written


def algorithms() -> dict[str, list[AlgorithmSpec]]:
    """The built-in algorithms by their agent, in the order in which they are declared."""
    families: dict[str, list[AlgorithmSpec]] = {}
    for name in BUILT_IN["rlplug.algorithms"]:
        spec = discovery.resolve_algorithm(name)
        families.setdefault(spec.agent, []).append(spec)
    return families


def algorithm_entries() -> Iterator[str]:
    """A heading for each family and for each algorithm."""
    for agent, specs in algorithms().items():
        module = agent.partition(":")[0]
        title, parts = _docstring(module)
        file = f"{module.replace('.', '/')}.py"
        differs = next(text for heading, text in parts.items() if "Differs" in heading)
        result = Path(parts["Measured"].split()[0]).name
        yield from (f"## {title}", "", _paragraph(parts["What it is"]), "")
        yield from (f"Code: [{file}](../../{file})", "")
        yield from (f"Papers: {_paragraph(parts['Paper'])}", "")
        yield from ("What differs from them:", "", _bullets(differs), "")
        for spec in specs:
            yield from _algorithm(spec, result)


def _algorithm(spec: AlgorithmSpec, result: str) -> Iterator[str]:
    fitting = "cartpole" if "discrete" in spec.action_spaces else "pendulum"
    environments = [e for e in BUILT_IN["rlplug.environments"] if discovery.presets(spec.name, e)]
    environment = environments[0] if environments else fitting
    resolved = resolve(spec.name, environment, preset=None)
    own = [
        f"`{name.removesuffix('.kind')}` {typed(value)}"
        for name, value in flatten(resolved.config.model_dump(mode="json"))
        if resolved.layers[name] == "algorithm"
    ]
    yield from (f"### {spec.name}", "", f"{spec.summary}.", "")
    yield f"- Paper: {spec.paper}"
    actions, observations = map(_any, (spec.action_spaces, spec.observation_spaces))
    yield f"- Takes: {actions} actions, {observations} observations"
    yield f"- Sets: {', '.join(own) or 'nothing; its settings are the defaults'}"
    yield f"- Measured: [{result.removesuffix('.md')}](../results/{result})"
    yield from ("", "```bash", f"rlplug train {spec.name} {environment}", "```", "")


def _any(kinds: Sequence[str]) -> str:
    """Kinds of spaces, or `any`; images are arrays too."""
    rest = set(get_args(SpaceKind)) - {"image"} - set(kinds)
    return ", ".join(kinds) if rest else "any"


def setting_tables() -> Iterator[str]:
    """One table for each config class of a section."""
    yield from ("### A run", "", *_table(core.RunConfig, "", only_own=True), "")
    users: dict[str, list[str]] = {}
    for spec in (spec for specs in algorithms().values() for spec in specs):
        users.setdefault(spec.config, []).append(spec.name)
    for path, names in users.items():
        yield from _section(path, "agent", f"Of {', '.join(names)}.")
    trainers = [discovery.resolve_trainer(name) for name in BUILT_IN["rlplug.trainers"]]
    for trainer in trainers:
        yield from _section(trainer.config, "train", f"Of algorithms with the {trainer.name} loop.")
    for path in sorted({trainer.replay_config for trainer in trainers if trainer.replay_config}):
        yield from _section(path, "replay", "Of algorithms that learn from a replay.")
    yield from _section(
        "rlplug.envs.config:EnvConfig", "env", "Of every environment; one may add its own."
    )
    for name in ("evaluate", "launch", "stop", "checkpoint", "tracking"):
        model = core.RunConfig.model_fields[name].annotation
        assert model is not None
        path = f"{model.__module__}:{model.__qualname__}"
        yield from _section(path, name, "Of every run.")


def environment_table() -> Iterator[str]:
    """Every built-in environment and what it shows and takes."""
    from rlplug.envs.compatibility import describe_space
    from rlplug.envs.config import EnvConfig
    from rlplug.envs.make import make_env

    yield "| name | what it is | observation | action | also known as |"
    yield "|---|---|---|---|---|"
    for name in BUILT_IN["rlplug.environments"]:
        spec = discovery.resolve_environment(name)
        assert spec is not None
        env = make_env(spec, EnvConfig())
        spaces = (describe_space(env.observation_space), describe_space(env.action_space))
        env.close()
        yield _row((f"`{spec.name}`", spec.summary, *spaces, ", ".join(spec.aliases)))


def _section(path: str, name: str, about: str) -> Iterator[str]:
    model = discovery.import_string(path)
    yield from (f"### {name}: {model.__name__}", "", about, "", *_table(model, f"{name}."), "")


def _table(model: type[core.Config], prefix: str, *, only_own: bool = False) -> Iterator[str]:
    yield "| setting | takes | default | meaning |"
    yield "|---|---|---|---|"
    for one in settings(model, prefix):
        if only_own and ("." in one.name or one.name in {"agent", "replay", "env", "train"}):
            continue
        meaning = f"({one.kind}) {one.description}" if one.kind else one.description
        yield _row((f"`{one.name}`", one.shape.expected, typed(one.default), meaning))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def _docstring(module: str) -> tuple[str, dict[str, str]]:
    """First line, and the text below each heading; the module is not imported."""
    text = ast.get_docstring(ast.parse(_source(module)))
    assert text is not None
    first, _, rest = text.partition("\n")
    parts = re.split(r"^(\S.*):$", rest, flags=re.MULTILINE)[1:]
    bodies = map(inspect.cleandoc, parts[1::2])
    return first.rstrip("."), dict(zip(parts[::2], bodies, strict=True))


def _paragraph(text: str) -> str:
    return " ".join(text.split())


def _bullets(text: str) -> str:
    items: Iterable[str] = re.split(r"^\s*- ", text, flags=re.MULTILINE)[1:]
    return "\n".join(f"- {_paragraph(item)}" for item in items)


if __name__ == "__main__":
    main()
