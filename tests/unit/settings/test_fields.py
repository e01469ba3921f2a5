from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from rlplug.config import Config, Count, Schedule, Slot
from rlplug.settings.fields import REQUIRED, defaults, settings, shapes


class Small(Config):
    """A kind without fields."""

    kind: Literal["small"] = "small"


class Large(Config):
    """A kind with fields."""

    kind: Literal["large"] = "large"
    size: Annotated[Count, Field(gt=0)] = 3
    """How large."""


class Inner(Config):
    flag: bool = False


class Everything(Config):
    count: Annotated[Count, Field(ge=2)] = 2
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    limit: Annotated[float, Field(gt=0)] | None = None
    name: str = "adam"
    label: str | None = None
    mode: Literal["greedy", "sample"] = "greedy"
    sizes: tuple[Annotated[Count, Field(gt=0)], ...] = (256,)
    pair: tuple[Count, float] = (0, 0.5)
    kwargs: dict[str, Any] = Field(default_factory=dict)
    threads: Count | Literal["auto"] = "auto"
    slot: Annotated[Annotated[Small | Large, Field(discriminator="kind")], Slot] = Small()
    rising: Schedule = 0.25  # type: ignore[assignment] # a bare number is a schedule
    inner: Inner = Inner()
    needed: float


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("count", "a whole number at least 2"),
        ("rate", "a number above 0 and at most 1"),
        ("share", "a number from 0 to 1"),
        ("limit", "a number above 0 or none"),
        ("name", "text"),
        ("mode", "greedy or sample"),
        ("sizes", "a list of whole numbers above 0"),
        ("pair", "a list [a whole number, a number]"),
        ("threads", "a whole number or auto"),
        ("slot", "small or large"),
    ],
)
def test_what_a_field_takes_is_said_in_words(name: str, expected: str) -> None:
    assert shapes(Everything)[name].expected == expected


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("sizes", "64,32", [64, 32]),
        ("sizes", "[64, 32]", [64, 32]),
        ("sizes", "64", [64]),
        ("sizes", "[]", []),
        ("limit", "none", None),
        ("limit", "null", None),
        ("limit", "2.5", 2.5),
        ("name", "1e3", "1e3"),
        ("name", "none", "none"),
        ("label", "none", None),
        ("threads", "auto", "auto"),
        ("threads", "4", 4),
        ("kwargs", "{a: 1}", {"a": 1}),
    ],
)
def test_text_is_read_by_the_type_of_its_field(name: str, text: str, value: object) -> None:
    assert shapes(Everything)[name].read(text) == value


def test_a_bare_kind_and_a_bare_number_stand_for_a_slot() -> None:
    assert shapes(Everything)["slot"].normalise("large") == {"kind": "large"}
    assert shapes(Everything)["rising"].normalise(0.5) == {"kind": "constant", "value": 0.5}


def test_defaults_are_nested_and_in_full() -> None:
    values = defaults(Everything)
    assert values["slot"] == {"kind": "small"}
    assert values["rising"] == {"kind": "constant", "value": 0.25}
    assert values["inner"] == {"flag": False}
    assert "needed" not in values


def test_every_setting_is_listed_with_the_kind_that_has_it() -> None:
    listed = {(one.name, one.kind): one for one in settings(Everything, "agent.")}
    assert listed["agent.slot", None].default == "small"
    assert listed["agent.slot", None].shape.choices == ("small", "large")
    assert listed["agent.slot.size", "large"].description == "How large."
    assert listed["agent.inner.flag", None].default is False
    assert listed["agent.needed", None].default is REQUIRED
    assert ("agent.inner", None) not in listed


def test_given_values_are_shown_as_defaults() -> None:
    listed = {
        one.name: one.default
        for one in settings(Everything, values={"slot": {"kind": "large", "size": 9}, "count": 7})
    }
    assert (listed["slot"], listed["slot.size"], listed["count"]) == ("large", 9, 7)
