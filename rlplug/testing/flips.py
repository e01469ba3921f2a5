"""Other values for a setting, found from what it takes now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rlplug.config import (
    ConstantSchedule,
    ExponentialSchedule,
    LinearSchedule,
    PiecewiseSchedule,
)
from rlplug.nn.config import (
    AutoEncoder,
    ImpalaResNet,
    MlpEncoder,
    NatureCnn,
    OptimizerConfig,
    RegisteredEncoder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rlplug.resolve import Setting

_OF_OTHERS: frozenset[Any] = frozenset({RegisteredEncoder})
"""Choices that stand for what any plugin registers: not this algorithm's to prove."""
_OF_IMAGES: frozenset[Any] = frozenset({NatureCnn, ImpalaResNet})
"""Choices that are refused in words for an algorithm that takes no images."""
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


def cases(
    settings: list[Setting], current: Mapping[str, Any], *, has_images: bool = True
) -> Iterator[Case]:
    """Every setting with other values for it, and every choice of those that have choices.

    Args:
        settings: Of one section, in order: a slot before the fields of its kinds.
        current: By dotted name, the values of the run that is changed.
        has_images: Whether the algorithm takes images, and what encodes them can be chosen.
    """
    left_out = _OF_OTHERS if has_images else _OF_OTHERS | _OF_IMAGES
    chosen: dict[str, str | None] = {}
    slots = {one.name: one for one in settings if one.shape.configs}
    for one in settings:
        parent = one.name.rpartition(".")[0]
        if parent in slots:
            chosen[parent] = one.kind
            if one.kind and slots[parent].shape.configs[one.kind] in left_out:
                continue
        on = {
            slot: slot_value(slots[slot], kind)
            for slot, kind in chosen.items()
            if one.name.startswith(f"{slot}.") and kind and current.get(f"{slot}.kind") != kind
        }
        for case, model in _of(one, _value(one, current, on), on):
            if model not in left_out:
                yield case


def _value(setting: Setting, current: Mapping[str, Any], on: Mapping[str, Any]) -> Any:
    """What it is in the unchanged run: the kind of a slot, else the value."""
    slot, _, field = setting.name.rpartition(".")
    if on:
        return on[slot].get(field, setting.default) if slot in on else setting.default
    return current.get(f"{setting.name}.kind" if setting.shape.configs else setting.name)


def slot_value(slot: Setting, kind: str) -> Any:
    """What chooses a kind of a slot, with values where there is no default or a large one."""
    return {"kind": kind} | _GIVEN.get(slot.shape.configs[kind], {})


_FINAL_FRACTION = " ".join(
    (OptimizerConfig.model_fields["final_fraction"].description or "").split()
)
"""Of rlplug's own optimizer settings; it matters where the learning rate decays."""
_GIVEN: dict[Any, dict[str, Any]] = {
    ConstantSchedule: {"value": 0.4},
    LinearSchedule: {"start": 0.8, "end": 0.2},
    ExponentialSchedule: {"start": 0.8, "end": 0.2, "half_life_env_steps": 10},
    PiecewiseSchedule: {"points": [[0, 0.8], [30, 0.2]]},
    AutoEncoder: {"hidden_sizes": [16]},
    MlpEncoder: {"hidden_sizes": [16]},
    ImpalaResNet: {"channels": [4, 8]},
}
"""For rlplug's own schedules, which have no defaults, and encoders, which are large."""
_BESIDE: dict[Any, dict[str, Any]] = {NatureCnn: {"kind": "mlp", "hidden_sizes": [16]}}
"""What to compare a choice with that is the usual one's by another name: `auto` for images."""


def _of(setting: Setting, value: Any, on: dict[str, Any]) -> Iterator[tuple[Case, Any]]:
    """Cases of one setting; with a choice, the config that it stands for."""
    name, shape = setting.name, setting.shape
    if set(shape.choices) - {"none"}:
        for choice in shape.choices:
            model = shape.configs.get(choice)
            other = slot_value(setting, choice) if model else _read(choice, value)
            if not any(value == each for each in (choice, other)):
                before = on | {name: _BESIDE[model]} if model in _BESIDE else on
                yield Case(name, (other,), before, f"{name}={choice}", setting.kind), model
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
    if _owner(setting) == _FINAL_FRACTION:
        on = on | {f"{name.rpartition('.')[0]}.decay": "linear"}
    known = _KNOWN.get((_owner(setting), name.rpartition(".")[2]), ())
    values = known or tuple(others(value))
    yield Case(name, values, on, name, setting.kind), None


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
