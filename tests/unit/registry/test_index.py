from __future__ import annotations

import itertools
import os

import pytest

from rlplug.errors import ConfigError, PluginError
from rlplug.registry import entries, index

SPEC = """
from rlplug.specs import AlgorithmSpec, EnvironmentFamily
from rlplug.config import Config

class AConfig(Config):
    size: int = 3
    '''How large.'''

A = AlgorithmSpec(
    name="a", summary="An algorithm", paper="none", config="plugin_a:AConfig", agent="x:Y",
    policy="x:Y", observation_spaces=("box",), action_spaces=(), defaults={"agent": {"size": 5}},
)
F = EnvironmentFamily(name="f", summary="Many", members=("one", "two"), resolve="x:y")
"""
_sizes = itertools.count(1)
POINTS = {"algorithms": {"a": "plugin_a:A"}, "environments": {"f": "plugin_a:F"}}


def install(site, content: str = SPEC, **kwargs: str) -> None:
    """Install rlplug-a, or change its module by one that is never imported from stale bytecode."""
    site.install(
        "rlplug-a", {"plugin_a.py": f"{content}\n# {os.urandom(8).hex()}"}, POINTS, **kwargs
    )
    index._memory.clear()


def record() -> index.DistributionRecord:
    return index.record(entries.distributions()["rlplug-a"])


def forbid_children(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("a child process was started")

    monkeypatch.setattr(index, "_run_child", refuse)


def test_record_holds_specs_options_and_members_without_importing_here(fake_site):
    install(fake_site)
    algorithm, family = record().entries
    assert algorithm.spec["summary"] == "An algorithm"
    assert algorithm.options == (
        index.Option("agent.size", "a whole number", 5, "How large.", "", []),
    )
    assert family.spec["members"] == ["one", "two"]
    assert "plugin_a" not in __import__("sys").modules


def test_second_process_reads_the_cache(fake_site, monkeypatch):
    install(fake_site)
    first = record()
    index._memory.clear()
    forbid_children(monkeypatch)
    assert record() == first


def test_cache_that_cannot_be_written_costs_only_time(fake_site, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    install(fake_site)
    assert record().state == "ok"


def test_damaged_cache_is_made_anew(fake_site):
    install(fake_site)
    first = record()
    index._cache_file(first.distribution).write_text("[1")
    index._memory.clear()
    assert record() == first


def test_changed_file_is_read_again(fake_site):
    install(fake_site)
    record()
    install(fake_site, SPEC.replace("An algorithm", "Another"))
    assert record().entries[0].spec["summary"] == "Another"


def test_new_version_replaces_the_record(fake_site):
    install(fake_site)
    before = index._cache_file(record().distribution)
    install(fake_site, version="1.0.post1")
    assert index._cache_file(record().distribution) == before
    assert len(list(before.parent.iterdir())) == 1


def test_failure_is_kept_and_not_tried_again(fake_site, monkeypatch):
    install(fake_site, "raise RuntimeError('broken')")
    assert [one.failure.reason for one in record().entries] == ["RuntimeError: broken"] * 2
    index._memory.clear()
    forbid_children(monkeypatch)
    assert record().state == "failed"


def test_failure_is_tried_again_when_something_is_installed(fake_site):
    install(fake_site, f"import plugin_needed\n{SPEC}")
    assert record().state == "failed"
    index._memory.clear()
    fake_site.install("needed", {"plugin_needed.py": ""}, {})
    assert record().state == "ok"


def test_refresh_tries_again(fake_site):
    install(fake_site, "import os\nif os.environ.get('BROKEN'): raise RuntimeError\n" + SPEC)
    os.environ["BROKEN"] = "1"
    try:
        assert record().state == "failed"
    finally:
        del os.environ["BROKEN"]
    assert record().state == "failed"
    index.read(refresh=True)
    assert record().state == "ok"


def test_plugin_that_hangs_is_named_with_the_line(fake_site, monkeypatch):
    monkeypatch.setenv("RLPLUG_PLUGIN_TIMEOUT", "0.3")
    install(fake_site, "import time\ntime.sleep(30)")
    first, second = record().entries
    assert first.failure.reason == "it takes more than 0.3 s to import"
    assert 'plugin_a.py", line 2' in first.failure.traceback
    assert "RLPLUG_PLUGIN_TIMEOUT=" in first.failure.hint
    assert second.failure.reason.startswith("it was not reached: importing '")
    assert "RLPLUG_PLUGIN_TIMEOUT=" in second.failure.hint


def test_plugin_that_hung_is_tried_again_when_it_may_take_longer(fake_site, monkeypatch):
    monkeypatch.setenv("RLPLUG_PLUGIN_TIMEOUT", "0.2")
    install(fake_site, f"import time\ntime.sleep(0.5)\n{SPEC}")
    assert record().state == "failed"
    index._memory.clear()
    monkeypatch.setenv("RLPLUG_PLUGIN_TIMEOUT", "30")
    assert record().state == "ok"


def test_plugin_that_ends_the_process_is_named_with_what_it_said(fake_site):
    install(fake_site, "import os\nprint('oh no', flush=True)\nos._exit(3)")
    failure = record().entries[0].failure
    assert failure.reason == "it ended the process that imported it, with status 3"
    assert failure.traceback == "oh no"


def test_child_that_was_interrupted_is_not_held_against_the_plugin(fake_site):
    install(fake_site, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert record().state == "failed"
    assert not index._cache_file(record().distribution).exists()


def test_prints_and_heavy_imports_are_remarked(fake_site):
    fake_site.install("torch", {"torch/__init__.py": ""}, {})
    install(fake_site, f"import torch\nprint('hello')\n{SPEC}")
    found = record()
    assert found.state == "ok"
    assert [remark.split()[0] for remark in found.remarks] == ["imports", "prints"]


def test_thread_left_running_does_not_keep_the_child(fake_site, monkeypatch):
    monkeypatch.setenv("RLPLUG_PLUGIN_TIMEOUT", "5")
    hang = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
    install(fake_site, hang + SPEC)
    assert record().state == "ok"


def test_config_that_is_none_of_ours_is_a_failure(fake_site):
    install(fake_site, SPEC.replace("AConfig(Config)", "AConfig"))
    assert "plugin_a:AConfig" in record().entries[0].failure.reason


def test_defaults_that_do_not_fit_the_config_are_a_failure(fake_site):
    install(fake_site, SPEC.replace('"size": 5', '"size": "many"'))
    assert record().entries[0].failure.reason.startswith("ValidationError")


def test_disabled_and_incompatible_plugins_are_not_imported(fake_site, monkeypatch):
    forbid_children(monkeypatch)
    install(fake_site, requires="rlplug>=99")
    assert record().state == "incompatible"
    assert "pip install --upgrade" in record().entries[0].failure.hint
    monkeypatch.setenv("RLPLUG_DISABLE_PLUGINS", "rlplug-a")
    assert record().state == "disabled"


def test_strict_raises_the_first_failure(fake_site, monkeypatch):
    install(fake_site, "raise RuntimeError('broken')")
    monkeypatch.setenv("RLPLUG_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="RuntimeError: broken"):
        index.read()


def test_faulty_presets_are_a_failure_with_file_and_line(fake_site):
    presets = {"plugin_p/__init__.py": "", "plugin_p/dqn.yaml": "cartpole:\n  agent: 3\n"}
    fake_site.install("rlplug-p", presets, {"presets": {"p": "plugin_p"}})
    found = index.record(entries.distributions()["rlplug-p"])
    assert "dqn.yaml, line 1" in found.entries[0].failure.reason


@pytest.mark.parametrize("text", ["soon", "-1", "0", "nan", "inf"])
def test_time_limit_must_be_a_number_of_seconds(monkeypatch, text):
    monkeypatch.setenv("RLPLUG_PLUGIN_TIMEOUT", text)
    with pytest.raises(ConfigError, match="RLPLUG_PLUGIN_TIMEOUT"):
        index.time_limit()


def test_own_components_are_all_sound_and_light(fake_site):
    own = index.record(entries.distributions()["rlplug"])
    assert {one.entry.name: one.failure for one in own.entries if one.failure} == {}
    assert own.remarks == ()
