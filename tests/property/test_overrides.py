"""Whatever is typed, it is a setting or a ConfigError in words; never anything else."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rlplug.errors import ConfigError
from rlplug.resolve import resolve, to_yaml
from rlplug.resolve import settings as settings_of
from rlplug.settings.yaml_text import read_document, read_value, write

NAMES = sorted({one.name for one in settings_of(type(resolve("dqn", "cartpole").config))})
SECTIONS = {
    "agent": resolve("dqn", "cartpole").config.agent,
    "replay": resolve("dqn", "cartpole").config.replay,
    "env": resolve("dqn", "cartpole").config.env,
    "train": resolve("dqn", "cartpole").config.train,
}
NAMES += [
    one.name for key, value in SECTIONS.items() for one in settings_of(type(value), f"{key}.")
]
WORDS = (
    "none null true off auto 1 -1 0 1e6 1e400 .nan -.inf 0x [256,256] 256,256 [ ] {} quantile "
    "linear iqn prioritized independent {kind:linear} &a ' \" # % @ ` | >"
)
ODD = ("{a: 1}", "{kind: [1]}", "&a [*a]", "!!set {a}", "? a", "- a", "a: b", "\x00", "\t")
words = st.sampled_from([*WORDS.split(), *ODD, "1" * 5000])
texts = words | st.text(max_size=12) | st.text("[]{},:&*!?#-0123456789eE.'\" ", max_size=12)
parts = st.text("abcdefgikmnorstuz_.-", min_size=1, max_size=10)
names = st.sampled_from(NAMES) | st.builds("{}.{}".format, st.sampled_from(NAMES), parts) | parts
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def faults(overrides: object) -> list[str]:
    """What is wrong with what came of these overrides: settings, or an error."""
    try:
        resolved = resolve("dqn", "cartpole", overrides=overrides)  # type: ignore[arg-type]
        text = to_yaml(resolved.config)
    except ConfigError as error:
        message = str(error)
        foreign = [name for name in ("pydantic", "For further information") if name in message]
        return foreign if message else ["an error without words"]
    layers = set(resolved.layers.values()) - {"default", "preset", "command line", "argument"}
    again = resolve(None, None, config=type(resolved.config).model_validate(resolved.config))
    return sorted(layers) + ([] if to_yaml(again.config) == text else ["not the same again"])


@settings(max_examples=150)
@given(st.lists(st.tuples(names, texts), max_size=3))
@example([("agent.head.kind", "{kind: 1}")])
@example([("env.kwargs", "{1: 2}")])
@example([("checkpoint.every_env_steps", "{kind: [1]}")])
@example([("agent.network.hidden_sizes", "[1, [2]]")])
def test_text_becomes_a_setting_or_an_error_in_words(overrides: list[tuple[str, str]]) -> None:
    assert faults(overrides) == []


@settings(max_examples=100)
@given(st.dictionaries(names, values, max_size=3))
def test_a_python_value_becomes_a_setting_or_an_error_in_words(overrides: object) -> None:
    assert faults(overrides) == []


@given(st.text() | texts)
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        said = repr(read_value(text))
    except ConfigError as error:
        said = str(error)
    assert said.strip()
    assert "Traceback" not in said or "Traceback" in text


@given(st.dictionaries(st.text(), values))
def test_what_is_written_is_read_back(document: dict[str, object]) -> None:
    assert repr(read_document(write(document), "a.yaml").values) == repr(document)
