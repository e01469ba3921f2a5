"""Says in one sentence what is wrong with a setting, and which one was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from rlplug.settings.fields import Shape, settings, shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from rlplug.config import Config


def show(value: Any) -> str:
    """A value as a message shows it: text in quotes, nothing longer than a line."""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def unknown_setting(model: type[Config], name: str, kind: str | None) -> str:
    """Say that `model` has no setting `name`, and what comes near.

    Args:
        model: The whole run's config, so that a setting of another section is found too.
        name: Dotted; everything before its last part exists.
        kind: Of the slot that it was looked for in.
    """
    around = name.rpartition(".")[0]
    if not around:
        sections = [key for key, shape in shapes(model).items() if shape.configs]
        meant = _did_you_mean(difflib.get_close_matches(name, sections, n=1))
        return f"There is no section {show(name)}.{meant} Sections: {', '.join(sections)}."
    elsewhere = [setting.kind for setting in settings(model) if setting.name == name]
    if elsewhere:
        return (
            f"{name} is a setting of {around} {show(elsewhere[0])}, but {around} is {show(kind)} "
            f"here. Choose it: --{around} {elsewhere[0]}."
        )
    return (
        f"There is no setting {show(name)}.{_did_you_mean(nearest(name, model))} "
        "All of them: rlplug show ALGORITHM ENVIRONMENT."
    )


def nearest(name: str, model: type[Config]) -> list[str]:
    """Up to three settings that may have been meant, in any section, the likeliest first."""
    names = list(dict.fromkeys(setting.name for setting in settings(model)))
    key = name.rpartition(".")[2]
    same = [other for other in names if other.rpartition(".")[2] == key]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    by_key = {other.rpartition(".")[2]: other for other in reversed(names)}
    alike = [by_key[k] for k in difflib.get_close_matches(key, by_key, n=1, cutoff=0.7)]
    return list(dict.fromkeys([*same[:3], *close, *alike]))[:3]


def explain(error: ValidationError, model: type[Config], values: Mapping[str, Any]) -> list[Fault]:
    """Put pydantic's findings into our words, one for each setting at fault.

    Args:
        error: From validating `values` against `model`.
        model: The config that was asked for.
        values: What it was given, nested.

    Returns:
        (dotted name, sentence), in the order of the findings; the sentence opens with the name.
    """
    faults: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        name, shape, value = _locate(model, detail["loc"], values)
        faults.setdefault(name, _sentence(name, shape, value, detail))
    return list(faults.items())


Fault = tuple[str, str]


def _locate(
    model: type[Config], location: Sequence[int | str], values: Any
) -> tuple[str, Shape | None, Any]:
    """The setting that pydantic's location points into, its shape and its value.

    Tags of unions, which the location names too, are no part of a setting's name; what is inside
    a list or a mapping with free keys belongs to the whole of it.
    """
    name, shape, config = "", None, model
    for key in map(str, location):
        if key not in config.model_fields or not isinstance(values, dict):
            continue
        shape = shapes(config)[key]
        name, values = f"{name}.{key}" if name else key, values.get(key)
        kind = values.get("kind") if isinstance(values, dict) else None
        inner = shape.configs.get(kind)
        if inner is None:
            break
        config = inner
    return name, shape, values


def _sentence(name: str, shape: Shape | None, value: Any, detail: ErrorDetails) -> str:
    opening = f"{name}: " if name else ""
    if detail["type"] in {"value_error", "assertion_error"}:
        problem = detail["ctx"]["error"]
        return f"{opening}{problem}."
    if detail["type"] == "missing" and shape:
        return f"{opening}missing; expected {shape.expected}."
    if shape is None or shape.expected == "a value" or detail["type"].startswith("string_"):
        return f"{opening}{show(value)}: {detail['msg']}."
    return f"{opening}{show(value)} is not {shape.expected}."


def _did_you_mean(names: Sequence[str]) -> str:
    return f" Did you mean {' or '.join(show(name) for name in names)}?" if names else ""
