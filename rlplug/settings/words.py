"""Says in one sentence what is wrong with a setting, and which one was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from rlplug.settings.fields import Shape, settings, shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
        near = difflib.get_close_matches(name, model.model_fields, n=1)
        meant = f" Did you mean {show(near[0])}?" if near else ""
        what = "section" if sections else "setting"
        there = ", ".join(sections or model.model_fields)
        return f"There is no {what} {show(name)}.{meant} There are: {there}."
    known = {setting.name: setting for setting in settings(model)}
    if name in known:
        kind = show(kind) if kind else "none"
        return (
            f"{name} is a setting of {around} {show(known[name].kind)}, but {around} is {kind} "
            f"here. Choose it: --{around} {known[name].kind}."
        )
    near = [f"{show(one)} ({known[one].shape.expected})" for one in nearest(name, known)]
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no setting {show(name)}.{meant} All: rlplug show ALGORITHM ENVIRONMENT."


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three settings that may have been meant, in any section, the likeliest first."""
    key = name.rpartition(".")[2]
    same = [other for other in known if other.rpartition(".")[2] == key]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    by_key = {other.rpartition(".")[2]: other for other in reversed(list(known))}
    alike = [by_key[k] for k in difflib.get_close_matches(key, by_key, n=1, cutoff=0.7)]
    return list(dict.fromkeys([*same, *close, *alike]))[:3]


def explain(
    error: ValidationError, model: type[Config], values: Mapping[str, Any]
) -> list[tuple[str, str]]:
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
        inner = shape.configs.get(kind if isinstance(kind, str) else None)
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
        lacks = "missing" if value is None else f"{show(value)} lacks '{detail['loc'][-1]}'"
        return f"{opening}{lacks}; expected {shape.expected}."
    if shape is None or shape.expected == "a value" or detail["type"].startswith("string_"):
        return f"{opening}{show(value)}: {detail['msg']}."
    return f"{opening}{show(value)} is not {shape.expected}."
