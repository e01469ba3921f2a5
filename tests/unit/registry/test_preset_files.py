from __future__ import annotations

import pytest

from rlplug.errors import PluginError
from rlplug.registry import preset_files
from rlplug.registry.entries import Entry

ENTRY = Entry("rlplug-a", "1.0", "presets", "a", "plugin_a.presets")


def read(tmp_path, text: str):
    path = tmp_path / "dqn.yaml"
    path.write_text(text)
    return preset_files.read(ENTRY, path)


def test_preset_is_its_sections_and_where_it_comes_from(tmp_path):
    (preset,) = read(
        tmp_path,
        """
        cartpole:
          source: a paper
          scored: 500
          agent: {optimizer: {learning_rate: 1e-3}}
          train:
            steps: 1e5
        """.replace("500", "'500'"),
    )
    assert (preset.algorithm, preset.environment, preset.name) == ("dqn", "cartpole", "default")
    assert preset.settings == {
        "agent": {"optimizer": {"learning_rate": 0.001}},
        "train": {"steps": 100_000.0},
    }


def test_empty_file_has_no_presets(tmp_path):
    assert read(tmp_path, "# nothing yet\n") == []


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: {source: s}\nb: [", 2, "not YAML"),
        ("a: {source: s}\na: {source: t}", 2, "given twice"),
        ("a: {source: s}\nb: 3", 2, "expected source, scored and sections"),
        ("a: {source: s}\nb: {agent: {}}", 2, "source"),
        ("a:\n  source: s\n  agnet: {}", 1, "section 'agnet'"),
        ("a:\n  source: s\n  agent: 3", 1, "section 'agent' of 'a' holds 3"),
        ("- a", 1, "expected"),
    ],
)
def test_faulty_file_is_named_with_its_line(tmp_path, text, line, problem):
    with pytest.raises(PluginError, match=rf"rlplug-a 1\.0: .*dqn\.yaml, line {line}:") as error:
        read(tmp_path, text)
    assert problem in str(error.value)


def test_folder_is_found_without_importing_its_package(fake_site):
    fake_site.install("rlplug-a", {"plugin_a/presets/dqn.yaml": ""}, {})
    (fake_site.folder / "plugin_a" / "__init__.py").write_text("raise RuntimeError")
    assert preset_files.folder(ENTRY) == fake_site.folder / "plugin_a" / "presets"


def test_package_that_does_not_exist_is_named(fake_site):
    with pytest.raises(PluginError, match=r"no package 'plugin_a\.presets'"):
        preset_files.folder(ENTRY)


def test_exact_name_beats_a_pattern(tmp_path):
    found = read(tmp_path, "atari/*: {source: all}\natari/pong: {source: one}\n")
    assert [one.source for one in preset_files.matching(found, "atari/pong")] == ["one", "all"]
    assert [one.source for one in preset_files.matching(found, "atari/qbert")] == ["all"]
    assert list(preset_files.matching(found, "cartpole")) == []
