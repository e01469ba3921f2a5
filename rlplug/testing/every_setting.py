"""Every setting changes something that a run learns, does or times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlplug.errors import ConfigError
from rlplug.resolve import flatten
from rlplug.testing import scenes
from rlplug.testing.check import Checks, require
from rlplug.testing.comparison import differs
from rlplug.testing.flips import Case, cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.testing.scenes import Scene
    from rlplug.testing.subject import AlgorithmSubject, Fingerprint

CHECKS = Checks()
_OURS = {"replay.storage", "replay.frame_stack", "replay.sampler.new_priority"}
"""Settings of rlplug's own replay that show in its memory and speed, or with workers, alone."""
_shared: dict[tuple[str, ...], list[str]] = {}
"""What was found of a config, agent, policy and trainer: algorithms of a family share them."""


@CHECKS.add("every setting matters")
def every_setting_matters(subject: AlgorithmSubject) -> str | None:
    """Each setting of agent, replay and train changes weights, actions, targets or an event.

    Algorithms that share config, agent, policy and trainer are one family, and tried once.
    """
    spec, declared = subject.spec, subject.declared
    told = declared.model_dump_json(include={"flips", "without_effect"})
    family = (spec.config, spec.agent, spec.policy, spec.trainer, told)
    is_known = family in _shared
    if not is_known:
        _shared[family] = [
            problem
            for name, section in subject.all_settings.items()
            for problem in _problems(subject, name, section)
        ]
    problems = _shared[family]
    require(not problems, " ".join(problems))
    return "as tried with another algorithm of its family" if is_known else None


def _problems(subject: AlgorithmSubject, name: str, section: list[Any]) -> Iterator[str]:
    current = dict(flatten(getattr(subject.resolved().config, name).model_dump(), f"{name}."))
    declared = subject.declared
    seen: set[str] = set()
    for case in cases(section, current):
        for one in _declared(case, subject):
            reason = _excused(one, declared.without_effect)
            outcome = _outcome(subject, one, excused=bool(reason))
            if reason and outcome == "differs":
                yield f"{one.label} is declared to change nothing ({reason}), and does."
            elif outcome == "invalid" and one.label != one.name and name != "agent":
                continue  # a choice of the trainer that is refused in words, as one may
            elif not (reason or outcome == "differs" or one.name in _OURS or one.label in seen):
                seen.add(one.label)
                yield _sentence(one, outcome)


def _excused(case: Case, without_effect: dict[str, str]) -> str:
    return without_effect.get(case.label) or without_effect.get(case.name) or ""


def _declared(case: Case, subject: AlgorithmSubject) -> Iterator[Case]:
    """The author's ways to change it, else the kit's own."""
    flips = subject.declared.flips
    found = flips.get(case.label) or flips.get(case.name) or ()
    found = tuple(flip for flip in found if flip.kind in {None, case.kind})
    if not found:
        yield case
    for flip in found:
        is_choice = case.label != case.name and case.label not in flips
        values = case.values if is_choice else (flip.value,)
        yield case._replace(values=values, on=case.on | flip.on)


def _outcome(subject: AlgorithmSubject, case: Case, *, excused: bool) -> str:
    """`differs`; else what came of it: `same`, `invalid`, or an error's text."""
    outcome = "invalid"
    for scene in _scenes(subject)[: 1 if excused else None]:
        try:
            before = subject.fingerprint(subject.resolved(scene, case.on))
        except ConfigError:
            continue
        for value in case.values:
            try:
                changed = subject.resolved(scene, case.on | {case.name: value})
                after = subject.fingerprint(changed)
            except ConfigError:
                continue
            except Exception as error:  # noqa: BLE001 - an author is told, not interrupted
                return f"raises {type(error).__name__} ({error}) when set to {value!r}"
            if _differ(before, after):
                return "differs"
            outcome = "same"
    return outcome


def _scenes(subject: AlgorithmSubject) -> list[Scene]:
    """The usual one; then, where an effect may hide there, other actions and images."""
    spec = subject.spec
    found = [scenes.world(spec)]
    if "box" in spec.action_spaces and "discrete" in spec.action_spaces:
        found.append(scenes.world(spec, action="box"))
    if "image" in spec.observation_spaces:
        found.append(scenes.world(spec, observation="image"))
    return found


def _differ(before: Fingerprint, after: Fingerprint) -> bool:
    return any(differs(before[name], after[name]) for name in before)


def _sentence(case: Case, outcome: str) -> str:
    if outcome == "same":
        tried = ", ".join(map(repr, case.values))
        return (
            f"{case.label} changes nothing (tried {tried}{_under(case)}): use it, remove it, or "
            "declare when it matters (flips) or why it does not (without_effect)."
        )
    if outcome == "invalid":
        return (
            f"{case.label} could not be changed by itself{_under(case)}: declare another value for "
            "it in `flips` of its AlgorithmConformance."
        )
    return f"{case.label} {outcome}{_under(case)}."


def _under(case: Case) -> str:
    return f", under {case.on}" if case.on else ""
