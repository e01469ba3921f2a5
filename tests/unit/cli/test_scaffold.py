"""Names that a new package may have, and files that stay in form whatever the names."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rlplug.cli.scaffold import Names, names_for, write_package
from rlplug.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = "abcdefghijklmnopqrstuvwx"


def test_names_are_derived_from_two() -> None:
    names = names_for("rlplug-My.foo", "cross-entropy", "algorithm")
    assert names.module == "rlplug_my_foo"
    assert names.substitutes["Class"] == "CrossEntropy"
    assert names.substitutes["CONSTANT"] == "CROSS_ENTROPY"
    assert names.substitutes["rlplug_range"] == ">=0.1,<0.2"


@pytest.mark.parametrize(
    ("package", "name", "said"),
    [
        ("rlplug foo", "foo", "'rlplug foo' is no name for a package; use"),
        ("x" * 25, "foo", "at most 24 letters"),
        ("2foo", "foo", "'2foo', which is no identifier. Begin its name with a letter"),
        ("class", "foo", "'class', which is no identifier"),
        ("json", "foo", "'json' (imported as 'json') is installed already"),
        ("rlplug", "foo", "'rlplug' (imported as 'rlplug') is installed already"),
        ("rlplug-foo", "Foo", "'Foo' is no name for an algorithm"),
        ("rlplug-foo", "2048", "a letter first"),
        ("rlplug-foo", "my algo", "'my algo' is no name"),
        ("rlplug-foo", "", "'' is no name"),
        ("rlplug-foo", "dqn", "'dqn' is that of rlplug 0.1"),
    ],
)
def test_a_name_that_cannot_be_used_or_is_taken_is_refused(
    package: str, name: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        names_for(package, name, "algorithm")
    assert said in str(caught.value)


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        write_package(tmp_path, Names("rlplug-foo", "rlplug_foo", "foo", "algorithm"))
    assert list(tmp_path.iterdir()) == []


def test_every_file_passes_ruff_whatever_the_length_of_its_names(tmp_path: Path) -> None:
    for name in ("a", "some-name", LONGEST):
        for kind in ("algorithm", "environment"):
            package = (f"p-{kind[:3]}-{name}")[:24].rstrip("-")
            names = names_for(package, name, kind)  # type: ignore[arg-type]
            written = write_package(tmp_path / package, names)
            assert f"src/{names.module}/spec.py" in {str(path) for path in written}
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
    assert not [line for file in tmp_path.rglob("*.*") if file.suffix in {".py", ".toml", ".md"}
                for line in file.read_text().splitlines() if "$" in line]  # fmt: skip
