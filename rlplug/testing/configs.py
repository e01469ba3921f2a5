"""What must hold of an algorithm's spec and config, before anything heavy is imported."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from pydantic_core import to_json

from rlplug.resolve import flatten, resolve, to_yaml
from rlplug.testing import scenes
from rlplug.testing.check import Checks, require

if TYPE_CHECKING:
    from rlplug.config import Config
    from rlplug.testing.subject import AlgorithmSubject

CHECKS = Checks()
HEAVY = ("torch", "gymnasium", "ray", "tensorflow", "jax")
_IMPORT_SECONDS = 2.0
"""More than this for a spec and its config is a heavy module by another name."""


@CHECKS.add("config round-trips")
def config_round_trips(subject: AlgorithmSubject) -> None:
    """The config survives YAML, JSON and its JSON schema: a run folder holds all of it."""
    config = subject.resolved().config
    text = to_yaml(config)
    file = subject.folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    world = scenes.world(subject.spec).environment
    back = resolve(subject.spec, world, preset=None, config=file).config
    for name in ("agent", "replay", "train"):
        section, again = getattr(config, name), getattr(back, name)
        if section is None:
            continue
        lost = _differences(section, again)
        require(not lost, f"Written to YAML and read back, {name} has another {', '.join(lost)}.")
        _require_json(section, name)


def _require_json(section: Config, name: str) -> None:
    """JSON and JSON schema of one section."""
    model = type(section)
    again = model.model_validate_json(section.model_dump_json())
    lost = _differences(section, again)
    require(not lost, f"Written to JSON and read back, {name} has another {', '.join(lost)}.")
    schema = model.model_json_schema(mode="serialization")
    require(
        set(schema.get("properties", {})) == set(model.model_fields),
        f"The JSON schema of {model.__name__} names other fields than it has.",
    )
    require(
        schema.get("additionalProperties") is False,
        f"{model.__name__} takes unknown keys: derive it from rlplug.config.Config and leave "
        "extra='forbid'.",
    )
    for field, about in schema["properties"].items():
        if "default" in about:
            default = model.model_fields[field].get_default(call_default_factory=True)
            plain = json.loads(to_json(default))
            require(
                about["default"] == plain,
                f"The JSON schema of {model.__name__} gives {field} the default "
                f"{about['default']}, the model {plain}.",
            )


def _differences(left: Config, right: Config) -> list[str]:
    """Dotted names of settings that are not the same."""
    before, after = (dict(flatten(one.model_dump())) for one in (left, right))
    return sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )


@CHECKS.add("imports are light")
def imports_are_light(subject: AlgorithmSubject) -> str:
    """Its spec and config import neither torch nor gymnasium nor ray: help and lists stay fast."""
    modules = [subject.spec.config.partition(":")[0]]
    modules += [subject.spec_module] if subject.spec_module else []
    seconds, heavy = _imported(tuple(sorted(modules)))
    require(
        not heavy,
        f"Importing {' and '.join(modules)} imports {', '.join(heavy)}; name heavy things in the "
        "spec by import strings, and import them where they are used.",
    )
    require(
        seconds < _IMPORT_SECONDS,
        f"Importing {' and '.join(modules)} takes {seconds:.1f} s of processor time; expected "
        f"less than {_IMPORT_SECONDS:.0f} s.",
    )
    return f"{seconds * 1000:.0f} ms"


@functools.cache
def _imported(modules: tuple[str, ...]) -> tuple[float, list[str]]:
    """Processor seconds that a new process needs to import them, and what heavy came along."""
    code = (
        "import sys, time, json\n"
        f"sys.path[:] = {sys.path!r}\n"
        "import rlplug.config, rlplug.specs\n"
        "began = time.process_time()\n"
        f"import {', '.join(modules)}\n"
        "seconds = time.process_time() - began\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps([seconds, heavy]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own code
    require(done.returncode == 0, f"Importing {modules} alone fails: {done.stderr[-400:]}")
    seconds, heavy = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), list(heavy)
