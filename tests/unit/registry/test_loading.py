from __future__ import annotations

import pytest

from rlplug.errors import PluginError
from rlplug.registry import discovery
from rlplug.registry.entries import Entry
from rlplug.registry.loading import LoadFailure, import_string, load_entry

SPEC = """
from rlplug.specs import AlgorithmSpec
A = AlgorithmSpec(
    name="a", summary="", paper="", config="rlplug.config:Config", agent="x:Y", policy="x:Y",
    observation_spaces=(), action_spaces=(),
)
"""


def entry(value: str, group: str = "algorithms", name: str = "a") -> Entry:
    return Entry("rlplug-a", "1.0", group, name, value)


def failure(site, content: str, value: str = "plugin_a:A", **kwargs: str) -> LoadFailure:
    site.install("rlplug-a", {"plugin_a.py": content}, {"algorithms": {"a": value}})
    loaded = load_entry(entry(value, **kwargs))
    assert isinstance(loaded, LoadFailure)
    return loaded


def test_spec_of_the_right_kind_and_name_is_loaded(fake_site):
    fake_site.install("rlplug-a", {"plugin_a.py": SPEC}, {})
    assert load_entry(entry("plugin_a:A")).name == "a"


def test_exception_keeps_the_plugins_own_traceback(fake_site):
    found = failure(fake_site, "def f():\n    raise KeyError('lost')\nf()\n")
    assert found.reason == "KeyError: 'lost'"
    assert "in f" in found.traceback
    assert "loading.py" not in found.traceback
    assert "importlib" not in found.traceback
    assert "RLPLUG_DISABLE_PLUGINS=rlplug-a" in found.hint


def test_sys_exit_is_a_failure(fake_site):
    assert "sys.exit(7)" in failure(fake_site, "import sys; sys.exit(7)").reason


def test_missing_dependency_is_named_with_what_to_install(fake_site):
    found = failure(fake_site, "import no_such_simulator.game")
    assert "no_such_simulator" in found.reason
    assert found.hint.endswith("pip install --upgrade rlplug-a")


def test_missing_module_of_the_plugin_itself_is_no_dependency(fake_site):
    found = failure(fake_site, "import plugin_a.inner")
    assert "not installed" not in found.hint


def test_keyboard_interrupt_passes(fake_site):
    fake_site.install("rlplug-a", {"plugin_a.py": "raise KeyboardInterrupt"}, {})
    with pytest.raises(KeyboardInterrupt):
        load_entry(entry("plugin_a:A"))


def test_strict_raises_the_plugins_exception(fake_site, monkeypatch):
    monkeypatch.setenv("RLPLUG_STRICT_PLUGINS", "1")
    fake_site.install("rlplug-a", {"plugin_a.py": "raise KeyError"}, {})
    with pytest.raises(KeyError):
        load_entry(entry("plugin_a:A"))


def test_object_of_another_kind_is_refused(fake_site):
    found = failure(fake_site, "A = {'name': 'a'}")
    assert found.reason == "plugin_a:A is of type dict; expected rlplug.specs.AlgorithmSpec"


def test_spec_of_another_name_is_refused(fake_site):
    found = failure(fake_site, SPEC, name="b")
    assert found.reason == "its entry point is named 'b', but its spec 'a'"


def test_attribute_that_does_not_exist_is_refused(fake_site):
    assert "has no attribute 'B'" in failure(fake_site, SPEC, "plugin_a:B").reason


def test_tracker_must_be_callable(fake_site):
    found = failure(fake_site, "A = 3", group="trackers")
    assert "expected a class or function" in found.reason


def test_import_string_names_the_distribution_and_shows_the_traceback(fake_site):
    fake_site.install(
        "rlplug-a", {"plugin_a.py": "import no_such_simulator"}, {"algorithms": {"a": "plugin_a:A"}}
    )
    with pytest.raises(
        PluginError, match=r"plugin_a:Agent of rlplug-a 1\.0 cannot be imported"
    ) as e:
        import_string("plugin_a:Agent")
    assert "Traceback" in str(e.value)
    assert "pip install" in str(e.value)


def test_import_string_keeps_prints_off_the_terminal(fake_site, capfd):
    fake_site.install("rlplug-a", {"plugin_a.py": "print('hello'); Agent = 3"}, {})
    assert discovery.import_string("plugin_a:Agent") == 3
    assert capfd.readouterr() == ("", "")
