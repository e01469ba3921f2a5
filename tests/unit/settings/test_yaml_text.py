from __future__ import annotations

import pytest

from rlplug.errors import ConfigError
from rlplug.settings.yaml_text import read_document, read_value, write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e6", 1_000_000.0),
        ("1_000", 1000),
        ("010", 10),
        ("0x1f", 31),
        ("-2.5e-3", -0.0025),
        (".5", 0.5),
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("null", None),
        ("", None),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ("[256, 1e2]", [256, 100.0]),
        ("{kind: quantile, num_quantiles: 8}", {"kind": "quantile", "num_quantiles": 8}),
        ("a word", "a word"),
    ],
)
def test_a_value_is_read_as_it_is_meant(text: str, value: object) -> None:
    read = read_value(text)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("text", ["[1", "{a: 1", '"open', "[" * 2000, "!!python/object:os.x {}"])
def test_what_is_not_yaml_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        read_value(text)


def test_every_dotted_key_has_its_line() -> None:
    _, lines = read_document("seed: 1\nagent:\n  head:\n    kind: quantile\n", "a.yaml")
    assert lines == {"seed": 1, "agent": 2, "agent.head": 3, "agent.head.kind": 4}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("agent:\n  batch_size: 1\n  batch_size: 2\n", "line 3: 'agent.batch_size' is given twice"),
        ("seed: 1\nseed: 2\n", "(first on line 1)"),
        ("a: 1\nb: [1, 2\nc: 3\n", "line 3: not YAML"),
        ("a: 1\n\tb: 2\n", "line 2: not YAML"),
        ("a: 1\nb: \x01\n", "line 2: not YAML"),
        ("- 1\n- 2\n", "line 1: expected settings by section"),
        ("just words", "expected settings by section"),
        ("a: &x\n  b: *x\n", "an alias must not contain itself"),
        ("? [1, 2]\n: 3\n", "a key must be a word"),
    ],
)
def test_an_error_names_the_file_and_the_line(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_document(text, "my.yaml")
    assert str(caught.value).startswith("my.yaml, line ")
    assert problem in str(caught.value)


def test_an_empty_file_has_no_settings() -> None:
    assert read_document("# nothing yet\n", "a.yaml").values == {}


def test_text_that_looks_like_a_number_is_written_so_that_it_stays_text() -> None:
    values = {"text": "1e6", "word": "off", "number": 1e6, "none": None, "list": [1, 2.5, "true"]}
    assert read_document(write(values), "a.yaml").values == values


def test_lists_are_written_on_one_line() -> None:
    assert write({"sizes": [256, 256]}) == "sizes: [256, 256]\n"
