"""Other values for a setting, found from what it takes now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.config import (
    ConstantSchedule,
    ExponentialSchedule,
    LinearSchedule,
    PiecewiseSchedule,
)
from rlplug.nn.config import NatureCnn, OptimizerConfig, RegisteredEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rlplug.resolve import Setting

_OF_OTHERS: tuple[Any, ...] = (RegisteredEncoder,)
"""Choices that stand for what any plugin registers: not this algorithm's to prove."""
_WORDS = {"true": True, "false": False, "none": None}


class Case(NamedTuple):
    """A setting, and what to change it to."""

    name: str
    """Dotted."""
    values: tuple[Any, ...]
    """To be tried in turn; one that makes a difference is enough."""
    on: dict[str, Any]
    """Settings before and after."""
    label: str
    """For messages: the setting, and the choice where it is one of several."""
    kind: str | None = None
    """Of the slot that the setting belongs to."""


def cases(settings: list[Setting], current: Mapping[str, Any]) -> Iterator[Case]:
    """Every setting with other values for it, and every choice of those that have choices.

    Args:
        settings: Of one section, in order: a slot before the fields of its kinds.
        current: By dotted name, the values of the run that is changed.
    """
    chosen: dict[str, str | None] = {}
    slots = {one.name: one for one in settings if one.shape.configs}
    for one in settings:
        parent = one.name.rpartition(".")[0]
        if parent in slots:
            chosen[parent] = one.kind
            if slots[parent].shape.configs.get(one.kind) in _OF_OTHERS:
                continue
            if one.kind and slots[parent].shape.configs.get(one.kind) in _HELD_BY_OTHERS:
                continue
        on = {
            slot: slot_value(slots[slot], kind)
            for slot, kind in chosen.items()
            if one.name.startswith(f"{slot}.") and kind and current.get(f"{slot}.kind") != kind
        }
        yield from _of(one, _value(one, current, on), on)


def _value(setting: Setting, current: Mapping[str, Any], on: Mapping[str, Any]) -> Any:
    """What it is in the unchanged run: the kind of a slot, else the value."""
    slot, _, field = setting.name.rpartition(".")
    if on:
        return on[slot].get(field, setting.default) if slot in on else setting.default
    return current.get(f"{setting.name}.kind" if setting.shape.configs else setting.name)


def slot_value(slot: Setting, kind: str) -> Any:
    """What chooses a kind of a slot, with values for those that have no defaults."""
    model = slot.shape.configs[kind]
    needed = _SCHEDULES.get(model)
    return {"kind": kind} | needed if needed else {"kind": kind}


_HELD_BY_OTHERS = {RegisteredEncoder, NatureCnn}
"""What an algorithm is not asked for: a registered encoder is another plugin's matter, and the
Nature CNN is what `auto` is for images."""
_FINAL_FRACTION = " ".join(
    (OptimizerConfig.model_fields["final_fraction"].description or "").split()
)
"""Of rlplug's own optimizer settings; it matters where the learning rate decays."""
_SCHEDULES: dict[Any, dict[str, Any]] = {
    ConstantSchedule: {"value": 0.4},
    LinearSchedule: {"start": 0.8, "end": 0.2},
    ExponentialSchedule: {"start": 0.8, "end": 0.2, "half_life_env_steps": 10},
    PiecewiseSchedule: {"points": [[0, 0.8], [30, 0.2]]},
}
"""Values of rlplug's own schedules, which have no defaults."""


def _of(setting: Setting, value: Any, on: dict[str, Any]) -> Iterator[Case]:
    name, shape = setting.name, setting.shape
    if set(shape.choices) - {"none"}:
        for choice in shape.choices:
            if shape.configs.get(choice) in _OF_OTHERS:
                continue
            if shape.configs.get(choice) in _HELD_BY_OTHERS:
                continue
            if choice in shape.configs:
                other: Any = slot_value(setting, choice)
            else:
                other = _read(choice, value)
            if not any(value == each for each in (choice, other)):
                yield Case(name, (other,), on, f"{name}={choice}", setting.kind)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
    if _owner(setting) == _FINAL_FRACTION:
        on = on | {f"{name.rpartition('.')[0]}.decay": "linear"}
    known = _KNOWN.get((_owner(setting), name.rpartition(".")[2]), ())
    values = known or tuple(others(value))
    yield Case(name, values, on, name, setting.kind)


def _read(choice: str, value: Any) -> Any:
    """A choice as its field takes it: true, none, or a number where the value is one."""
    if choice in _WORDS:
        return _WORDS[choice]
    is_number = isinstance(value, int) and not isinstance(value, bool) and choice.isdecimal()
    return int(choice) if is_number else choice


def _owner(setting: Setting) -> str:
    """Docstrings of rlplug's own settings tell them from a plugin's of the same name."""
    return setting.description


_KNOWN: dict[tuple[str, str], tuple[Any, ...]] = {
    (" ".join((OptimizerConfig.model_fields[name].description or "").split()), name): values
    for name, values in {"name": ("sgd", "adamw"), "arguments": ({"weight_decay": 0.5},)}.items()
}
"""Other values for what rlplug's own configs take as free text or mappings."""


def others(value: Any) -> Iterator[Any]:
    """Values of the same type, those first that are most likely to make a difference."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (each for each in (value + 1, 3, 1, value // 2, 0) if each != value)
    elif isinstance(value, float):
        scaled = (value * 0.5, value * 2.0, 0.01, 0.5, value + 1.0, -1.0, 0.0)
        yield from (each for each in scaled if each != value)
    elif value is None:
        yield from (0.01, 1e-6, 3, 0.5, [8])
    elif isinstance(value, tuple | list):
        yield from _other_sequences(value)


def _other_sequences(value: Any) -> Iterator[Any]:
    numbers = [each for each in value if isinstance(each, int | float)]
    if len(numbers) == len(value):
        yield [*value, 8]
        yield [each + 1 for each in value]
        yield [8]
        yield []
    else:
        yield [_scaled(each) for each in value]


def _scaled(value: Any) -> Any:
    """The last number of a nested value, halved."""
    if isinstance(value, tuple | list):
        return [*value[:-1], _scaled(value[-1])] if value else []
    return value * 0.5 if isinstance(value, float) else value
