from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rlplug
from rlplug.config import Config
from rlplug.errors import ConfigError, PluginError
from rlplug.registry.hooks import Hooks, load_hooks
from rlplug.registry.hookspecs import (
    CheckpointSaved,
    DoctorCalled,
    EvaluationEnded,
    IterationEnded,
    RunFinished,
    RunPlanned,
    WorkerStarted,
    hookimpl,
)

PLANNED: Any = RunPlanned(*(SimpleNamespace() for _ in RunPlanned._fields))
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
    loaded = load_hooks()
    assert loaded.iteration_ended(ITERATION) == "enough"
    assert caplog.text == ""
    loaded.tell_problems()
    assert "hook 'b' of rlplug-b 1.0 cannot be loaded: KeyError" in caplog.text
    loaded.tell_problems()
    assert caplog.text.count("rlplug-b 1.0") == 1


def test_a_returned_sentence_refuses_the_run_and_says_who():
    class Strict:
        @hookimpl
        def rlplug_validate_run(self, event):
            return "This cluster trains at night only."

    with pytest.raises(ConfigError, match=r"at night only\. \(said by strict, before"):
        hooks(tape=Tape(), strict=Strict()).validate_run(PLANNED)
    hooks(tape=Tape()).validate_run(PLANNED)


def test_a_raised_config_error_refuses_the_run_and_any_other_error_is_a_fault(caplog):
    class Raising:
        def __init__(self, error):
            self.error = error

        @hookimpl
        def rlplug_validate_run(self, event):
            raise self.error

    with pytest.raises(ConfigError, match="no such licence"):
        hooks(a=Raising(ConfigError("no such licence"))).validate_run(PLANNED)
    hooks(a=Raising(KeyError("a"))).validate_run(PLANNED)
    assert "rlplug_validate_run of a raised KeyError" in caplog.text


def test_any_hook_that_answers_true_wants_a_checkpoint():
    class Keeper:
        @hookimpl
        def rlplug_evaluation_ended(self, event):
            return event.mean_return > 1

    made = hooks(tape=Tape(), keeper=Keeper())
    assert made.evaluation_ended(EvaluationEnded(10, 2, returns=(2.0,)))
    assert not made.evaluation_ended(EvaluationEnded(10, 2, returns=(1.0,)))


def test_findings_of_doctors_are_gathered():
    class Doctor:
        def __init__(self, finding):
            self.finding = finding

        @hookimpl
        def rlplug_doctor(self, event):
            assert event.version == rlplug.__version__
            return self.finding

    made = hooks(a=Doctor("no roms"), b=Doctor(["old driver", "no disk"]), c=Doctor(None))
    found = made.doctor(DoctorCalled(rlplug.__version__))
    assert sorted(found) == ["no disk", "no roms", "old driver"]


def test_workers_are_announced():
    class Census:
        seen = ()

        @hookimpl
        def rlplug_worker_started(self, event):
            self.seen = (*self.seen, (event.worker, event.streams))

    census = Census()
    config: Any = SimpleNamespace()
    hooks(census=census).worker_started(WorkerStarted(config, 1, (4, 5)))
    assert census.seen == ((1, (4, 5)),)


class Counting:
    """Has a state."""

    def __init__(self):
        self.count = 0

    @hookimpl
    def rlplug_iteration_ended(self, event):
        self.count += 1

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def test_state_of_hooks_is_saved_and_restored_by_name():
    made = hooks(a=Counting(), tape=Tape(), b=Counting())
    made.iteration_ended(ITERATION)
    assert made.state_dict() == {"a": {"count": 1}, "b": {"count": 1}}
    after = hooks(a=Counting(), new=Counting())
    after.load_state_dict({"a": {"count": 7}, "gone": {"count": 1}})
    assert after.state_dict() == {"a": {"count": 7}, "new": {"count": 0}}


def test_state_that_cannot_be_read_switches_its_hook_off(caplog):
    made = hooks(a=Counting(), b=Counting())
    made.load_state_dict({"a": {}, "b": {"count": 2}})
    assert "load_state_dict of a raised KeyError" in caplog.text
    assert made.state_dict() == {"b": {"count": 2}}


class LimitConfig(Config):
    limit: int = 3
    """Where it stops."""


class Limit:
    config_class = LimitConfig

    def __init__(self, config):
        self.limit = config.limit

    @hookimpl
    def rlplug_iteration_ended(self, event):
        return f"limit {self.limit}"


def test_class_with_a_config_is_built_from_the_settings_of_its_name():
    made = Hooks()
    made.add("somewhere:limit", Limit, {"limit": 5})
    assert made.iteration_ended(ITERATION) == "limit 5"
    assert hooks(limit=Limit).iteration_ended(ITERATION) == "limit 3"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"limt": 5}, r"hooks\.limit: There is no setting 'limt'\. Did you mean 'limit'"),
        ({"limit": "high"}, r"hooks\.limit\.limit: 'high' is not a whole number"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        Hooks().add("somewhere:limit", Limit, settings)


def test_settings_for_a_hook_that_takes_none_or_is_not_there_are_refused(fake_site):
    with pytest.raises(ConfigError, match=r"hooks\.tape: this hook takes no settings; leave out x"):
        Hooks().add("somewhere:tape", Tape, {"x": 1})
    config: Any = SimpleNamespace(hooks={"early-stoping": {}})
    with pytest.raises(ConfigError, match=r"'early-stoping'\. Did you mean 'early-stopping'\?"):
        load_hooks(config)


def test_broken_hook_that_has_settings_is_an_error(fake_site):
    fake_site.install("rlplug-b", {"hooks_b.py": "raise KeyError"}, {"hooks": {"b": "hooks_b"}})
    config: Any = SimpleNamespace(hooks={"b": {"x": 1}})
    with pytest.raises(PluginError, match="hook 'b' of rlplug-b"):
        load_hooks(config)
