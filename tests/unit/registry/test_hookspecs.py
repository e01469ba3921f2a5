from __future__ import annotations

from pathlib import Path

import pytest

from rlplug.errors import PluginError
from rlplug.registry.hookspecs import (
    CheckpointSaved,
    EvaluationEnded,
    Hooks,
    IterationEnded,
    RunFinished,
    hookimpl,
    load_hooks,
)

ITERATION = IterationEnded(env_steps=10, updates=2)


class Tape:
    """Writes every event down."""

    def __init__(self, answer: str | None = None) -> None:
        self.events: list[object] = []
        self.answer = answer

    @hookimpl
    def rlplug_iteration_ended(self, event):
        self.events.append(event)
        return self.answer

    @hookimpl
    def rlplug_evaluation_ended(self, event):
        self.events.append(event.mean_return)

    @hookimpl
    def rlplug_checkpoint_saved(self):
        self.events.append("saved")


class Faulty:
    @hookimpl
    def rlplug_iteration_ended(self, event):
        raise KeyError(event.env_steps)


def hooks(**plugins: object) -> Hooks:
    made = Hooks()
    for name, plugin in plugins.items():
        made.add(name, plugin)
    return made


def test_each_event_reaches_the_hooks_that_ask_for_it():
    tape = Tape()
    made = hooks(tape=tape)
    assert made.iteration_ended(ITERATION) is None
    made.evaluation_ended(EvaluationEnded(10, 2, returns=(1.0, 2.0)))
    made.checkpoint_saved(CheckpointSaved(10, Path("x")))
    made.run_finished(RunFinished(10, "finished", ""))
    assert tape.events == [ITERATION, 1.5, "saved"]


def test_answer_to_an_iteration_is_the_reason_to_stop():
    assert hooks(a=Tape(), b=Tape("enough"), c=Tape()).iteration_ended(ITERATION) == "enough"


def test_hook_that_raises_is_named_and_switched_off_and_spares_the_others(caplog):
    tape = Tape("enough")
    made = hooks(a=Faulty(), tape=tape, b=Faulty())
    assert made.iteration_ended(ITERATION) == "enough"
    assert "rlplug_iteration_ended of b raised KeyError: 10" in caplog.text
    caplog.clear()
    made.iteration_ended(ITERATION)
    assert caplog.text == ""
    assert len(tape.events) == 2


def test_critical_hook_that_raises_ends_the_run():
    plugin = Faulty()
    plugin.critical = True
    with pytest.raises(PluginError, match=r"of guard raised KeyError: 10.* critical"):
        hooks(guard=plugin).iteration_ended(ITERATION)


def test_class_is_instantiated_for_each_run():
    made = hooks(tape=Tape)
    made.add("tape-2", Tape)
    assert made.iteration_ended(ITERATION) is None


def test_hook_that_does_not_exist_is_refused():
    class Mistyped:
        @hookimpl
        def rlplug_iteration_end(self, event):
            pass

    with pytest.raises(PluginError, match="rlplug_iteration_end: rlplug has no such hook"):
        hooks(mistyped=Mistyped())


def test_hook_with_other_arguments_is_refused():
    class Curious:
        @hookimpl
        def rlplug_iteration_ended(self, event, agent):
            pass

    with pytest.raises(PluginError, match="agent"):
        hooks(curious=Curious())


def test_wrapper_is_refused():
    class Wrapper:
        @hookimpl(wrapper=True)
        def rlplug_iteration_ended(self, event):
            return (yield)

    with pytest.raises(PluginError, match="wrappers are not called"):
        hooks(wrapper=Wrapper())


def test_installed_hooks_are_loaded_and_broken_ones_named(fake_site, caplog):
    fake_site.install(
        "rlplug-a",
        {
            "hooks_a.py": """
            from rlplug.registry.hookspecs import hookimpl
            @hookimpl
            def rlplug_iteration_ended(event):
                return "enough"
            """
        },
        {"hooks": {"a": "hooks_a"}},
    )
    fake_site.install("rlplug-b", {"hooks_b.py": "raise KeyError"}, {"hooks": {"b": "hooks_b"}})
    assert load_hooks().iteration_ended(ITERATION) == "enough"
    assert "hook 'b' of rlplug-b 1.0 cannot be loaded: KeyError" in caplog.text
