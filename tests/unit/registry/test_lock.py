from __future__ import annotations

import json

import pytest

import rlplug
from rlplug.errors import ConfigError, PluginError
from rlplug.registry import discovery, lock


@pytest.fixture
def project(fake_site, tmp_path, monkeypatch):
    """Two plugins, locked."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("a", "b"):
        files = {f"pack_{name}/__init__.py": "", f"pack_{name}/spec.py": "SPEC = 1"}
        points = {"algorithms": {name: f"pack_{name}.spec:SPEC"}}
        fake_site.install(f"rlplug-{name}", files, points)
    lock.write(folder / lock.LOCK_FILE)
    return folder


def drift(folder):
    with pytest.raises(PluginError) as caught:
        lock.require(lock.find(folder))
    return str(caught.value)


def test_what_was_locked_is_accepted_from_any_folder_below(project):
    (project / "deep").mkdir()
    lock.require(lock.find(project / "deep"))
    content = json.loads((project / lock.LOCK_FILE).read_text())
    assert content["rlplug"] == rlplug.__version__
    assert list(content["plugins"]) == ["rlplug-a", "rlplug-b"]


def test_another_version_is_named(project, fake_site):
    files = {"pack_a/spec.py": "SPEC = 1"}
    fake_site.install("rlplug-a", files, {"algorithms": {"a": "pack_a.spec:SPEC"}}, version="2.0")
    assert "rlplug-a is 2.0, locked is 1.0" in drift(project)


def test_changed_code_or_preset_of_the_same_version_is_named(project, fake_site):
    (fake_site.folder / "pack_a" / "spec.py").write_text("SPEC = 2")
    assert "rlplug-a 1.0 has other files than when it was locked" in drift(project)
    (fake_site.folder / "pack_a" / "spec.py").write_text("SPEC = 1")
    lock.require(project / lock.LOCK_FILE)
    (fake_site.folder / "pack_b" / "dqn.yaml").write_text("cartpole: {}")
    assert "rlplug-b 1.0 has other files" in drift(project)


def test_more_fewer_and_switched_off_plugins_are_named(project, fake_site, monkeypatch):
    fake_site.install("rlplug-c", {}, {"algorithms": {"c": "c:C"}})
    monkeypatch.setenv("RLPLUG_DISABLE_PLUGINS", "rlplug-b")
    said = drift(project)
    assert "rlplug-c 1.0 is there, but not locked" in said
    assert "rlplug-b 1.0 is locked, but not there or switched off" in said


def test_another_rlplug_is_named(project, monkeypatch):
    monkeypatch.setattr(rlplug, "__version__", "0.2.7")
    assert "rlplug is 0.2.7, locked is 0.1.0" in drift(project)


def test_a_single_file_counts_with_its_content(project):
    file = project / "task_lock.py"
    spec = 'EnvironmentSpec(name="task-l", summary="Mine", gymnasium_id="CartPole-v1")'
    file.write_text(f"from rlplug.specs import EnvironmentSpec\nTASK = {spec}\n")
    discovery.load_file(file)
    assert "task_lock.py" in drift(project)
    lock.write(project / lock.LOCK_FILE)
    lock.require(project / lock.LOCK_FILE)


def test_no_lock_and_a_damaged_one_are_sentences(project, tmp_path):
    with pytest.raises(ConfigError, match=r"no rlplug-lock\.json in .*rlplug plugins lock"):
        lock.find(tmp_path)
    (project / lock.LOCK_FILE).write_text("[]")
    with pytest.raises(ConfigError, match="is no lock"):
        lock.require(project / lock.LOCK_FILE)
