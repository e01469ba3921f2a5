from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from rlplug.config import Config, LinearSchedule, Schedule, Slot
from rlplug.errors import ConfigError
from rlplug.settings.fields import Text
from rlplug.settings.layers import Layer, Merged, merge, nest


class Scalar(Config):
    kind: Literal["scalar"] = "scalar"
    threshold: float = 1.0


class Quantile(Config):
    kind: Literal["quantile"] = "quantile"
    num_quantiles: int = 200
    threshold: float = 2.0


class Noise(Config):
    kind: Literal["one", "two"] = "one"
    sigma: float = 0.5


class Agent(Config):
    head: Annotated[Annotated[Scalar | Quantile, Field(discriminator="kind")], Slot] = Scalar()
    noise: Noise | None = None
    epsilon: Schedule = LinearSchedule(start=1.0, end=0.1, fraction=0.5)
    batch_size: int = 64


class Env(Config):
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Run(Config):
    agent: Agent = Agent()
    env: Env = Env()


def merged(*layers: dict[str, Any]) -> Merged:
    return merge(Run, [Layer(f"layer {i}", values) for i, values in enumerate(layers)])


def merged_text(*pairs: tuple[str, str]) -> dict[str, Any]:
    layers = [Layer("line", v) for v in nest([(k, Text(t)) for k, t in pairs])]
    return merge(Run, layers).values


def test_the_later_layer_wins_and_is_remembered() -> None:
    result = merged({"agent": {"batch_size": 1}}, {"agent": {"batch_size": 2}})
    assert result.values["agent"]["batch_size"] == 2
    assert result.set_by["agent.batch_size"].name == "layer 1"


def test_the_same_kind_merges() -> None:
    result = merged(
        {"agent": {"head": {"kind": "quantile", "num_quantiles": 8}}},
        {"agent": {"head": {"threshold": 0.0}}},
    )
    assert result.values["agent"]["head"] == {
        "kind": "quantile",
        "num_quantiles": 8,
        "threshold": 0.0,
    }
    assert result.set_by["agent.head.num_quantiles"].name == "layer 0"


def test_another_kind_replaces_the_whole_slot() -> None:
    result = merged(
        {"agent": {"head": {"threshold": 9.0}}}, {"agent": {"head": {"kind": "quantile"}}}
    )
    assert result.values["agent"]["head"] == {
        "kind": "quantile",
        "num_quantiles": 200,
        "threshold": 2.0,
    }
    assert {k: v.name for k, v in result.set_by.items()} == {"agent.head.kind": "layer 1"}


def test_a_bare_word_chooses_the_kind() -> None:
    assert merged_text(("agent.head", "quantile"))["agent"]["head"]["num_quantiles"] == 200


def test_naming_the_kind_that_is_there_keeps_its_fields() -> None:
    result = merged({"agent": {"head": {"threshold": 9.0}}}, {"agent": {"head": "scalar"}})
    assert result.values["agent"]["head"] == {"kind": "scalar", "threshold": 9.0}


def test_a_slot_is_chosen_before_its_fields_are_set_in_whatever_order() -> None:
    pairs = [("agent.head.num_quantiles", "8"), ("agent.head", "quantile")]
    assert merged_text(*pairs) == merged_text(*reversed(pairs))
    assert merged_text(*pairs)["agent"]["head"]["num_quantiles"] == 8


def test_naming_the_kind_after_its_fields_keeps_them() -> None:
    pairs = [("agent.head.num_quantiles", "8"), ("agent.head.kind", "quantile")]
    assert merged_text(*pairs) == merged_text(*reversed(pairs))
    assert merged_text(*pairs)["agent"]["head"]["num_quantiles"] == 8


def test_of_two_equal_names_the_later_wins() -> None:
    values = merged_text(("agent.batch_size", "1"), ("agent.batch_size", "2"))
    assert values["agent"]["batch_size"] == 2


def test_a_bare_number_replaces_a_schedule() -> None:
    values = merged_text(("agent.epsilon", "0.2"))
    assert values["agent"]["epsilon"] == {"kind": "constant", "value": 0.2}


def test_an_optional_part_is_switched_on_by_its_kind_or_a_field_and_off_by_none() -> None:
    assert merged_text(("agent.noise", "two"))["agent"]["noise"] == {"kind": "two", "sigma": 0.5}
    assert merged_text(("agent.noise.sigma", "2"))["agent"]["noise"]["sigma"] == 2
    off = merged({"agent": {"noise": {"sigma": 2.0}}}, {"agent": {"noise": None}})
    assert off.values["agent"]["noise"] is None
    assert off.layer_of("agent.noise").name == "layer 1"  # type: ignore[union-attr]
    assert "agent.noise.sigma" not in off.set_by


def test_free_keys_merge_and_an_empty_mapping_clears_them() -> None:
    both = merged({"env": {"kwargs": {"a": 1}}}, {"env": {"kwargs": {"b": {"c": 2}}}})
    assert both.values["env"]["kwargs"] == {"a": 1, "b": {"c": 2}}
    assert both.set_by["env.kwargs.a"].name == "layer 0"
    cleared = merged({"env": {"kwargs": {"a": 1}}}, {"env": {"kwargs": {}}})
    assert cleared.values["env"]["kwargs"] == {}


def test_free_keys_are_set_one_by_one_from_text() -> None:
    values = merged_text(("env.kwargs.gravity", "5.0"), ("env.kwargs.mode", "none"))
    assert values["env"]["kwargs"] == {"gravity": 5.0, "mode": None}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("agent.batchsize", "Did you mean 'agent.batch_size' (a whole number)?"),
        ("env.batch_size", "Did you mean 'agent.batch_size'"),
        ("agnt.batch_size", "Did you mean 'agent'? There are: agent, env."),
        ("agent.head.num_quantiles", "--agent.head quantile"),
        ("agent.head.num_quantile", "Did you mean 'agent.head.num_quantiles'"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merged_text((name, "1"))
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["quantil", 3, [1], {"a": 1}, None])
def test_an_unknown_kind_is_refused_with_those_there_are(kind: object) -> None:
    if kind is None:
        return  # no kind given: the one that is there
    with pytest.raises(ConfigError, match="is not scalar or quantile"):
        merged({"agent": {"head": {"kind": kind}}})


def test_a_section_that_is_none_is_refused_even_where_a_layer_above_would_hide_it() -> None:
    for value in ("junk", 3, None, [1]):
        with pytest.raises(ConfigError, match=r"^agent: .* is not a mapping\.$"):
            merged({"agent": value}, {"agent": {"batch_size": 8}})
    ours = merged({"agent": Agent(batch_size=9)}, {"agent": {"batch_size": 8}})
    assert ours.values["agent"]["batch_size"] == 8


def test_an_error_opens_with_the_place_in_the_file() -> None:
    lines = {"agent": 1, "agent.nope": 7}
    layer = Layer("file", {"agent": {"nope": 1}}, "a.yaml, line {line}: ", lines)
    with pytest.raises(ConfigError, match=r"^a\.yaml, line 7: There is no setting 'agent\.nope'"):
        merge(Run, [layer])


class Game(Config):
    bundles: ClassVar = {"protocol": {"old": {"skip": 4, "sticky": 0.0}, "new": {"skip": 5}}}

    protocol: Literal["old", "new"] | None = None
    skip: int = 1
    sticky: float = 0.5


class Play(Config):
    game: Game = Game()


def played(*layers: Layer) -> Merged:
    return merge(Play, layers)


def test_a_bundle_stands_for_settings_of_its_own_layer() -> None:
    result = played(Layer("preset", {"game": {"skip": 9}}), Layer("file", {"game": OLD}))
    assert result.values["game"] == {"protocol": "old", "skip": 4, "sticky": 0.0}
    assert result.set_by["game.skip"].name == "file"


OLD = {"protocol": "old"}


@pytest.mark.parametrize("order", [[OLD, {"skip": 7}], [{"skip": 7}, OLD]])
def test_what_is_set_beside_a_bundle_wins_in_any_order(order: list[dict[str, Any]]) -> None:
    result = played(*(Layer("command line", {"game": values}) for values in order))
    assert result.values["game"] == {"protocol": "old", "skip": 7, "sticky": 0.0}
    together = played(Layer("file", {"game": order[0] | order[1]}))
    assert together.values == result.values


def test_a_bundle_counts_where_a_config_is_made_directly() -> None:
    assert Game(protocol="new") == Game(protocol="new", skip=5, sticky=0.5)
    assert Game(protocol="old", skip=2).skip == 2
    assert Game().skip == 1
