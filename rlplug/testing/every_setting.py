"""Every setting changes something that a run learns, does or times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlplug.errors import ConfigError
from rlplug.registry.discovery import import_string
from rlplug.resolve import flatten
from rlplug.testing import scenes
from rlplug.testing.check import Checks, require
from rlplug.testing.comparison import differs
from rlplug.testing.flips import Case, cases
from rlplug.testing.subject import AlgorithmSubject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.testing.scenes import Scene
    from rlplug.testing.subject import Fingerprint

CHECKS = Checks()
_OURS = {"replay.storage", "replay.frame_stack", "replay.sampler.new_priority"}
"""Settings of rlplug's own replay that show in its memory and speed, or with workers, alone."""
_UNTRIED = {"agent.network.compile"}
"""Of rlplug's own networks: the same in other last bits, after seconds of compiling each."""
_found: dict[tuple[str | None, ...], list[str]] = {}
"""What is wrong with the settings of an algorithm that has been tried in this process."""


@CHECKS.add("every setting matters")
def every_setting_matters(subject: AlgorithmSubject) -> str | None:
    """Each setting of agent, replay and train changes weights, actions, targets or an event.

    A family over one config, agent, policy and trainer, whose members differ in defaults alone,
    is proven once: by the member that the others name as `settings_of`.
    """
    one = _stands_for(subject)
    spec = one.spec
    key = (spec.name, spec.config, spec.agent, spec.policy, spec.trainer, spec.conformance)
    if key not in _found:
        _found[key] = [
            problem
            for name, section in one.all_settings.items()
            for problem in _problems(one, name, section)
        ]
    problems = _found[key]
    require(not problems, " ".join(problems))
    return None if one is subject else f"as {one.name} shows, whose code and settings are the same"


def _stands_for(subject: AlgorithmSubject) -> AlgorithmSubject:
    """Itself, or the member of its family with which the settings are tried."""
    path = subject.declared.settings_of
    if path is None:
        return subject
    own, spec = subject.spec, import_string(path)
    for part in ("config", "agent", "policy", "trainer"):
        require(
            getattr(own, part) == getattr(spec, part),
            f"Its settings are declared to be those of {spec.name}, which has another {part} "
            f"({getattr(spec, part)}, not {getattr(own, part)}); leave `settings_of` out of its "
            "AlgorithmConformance.",
        )
    return subject if spec == own else AlgorithmSubject(spec)


def _problems(subject: AlgorithmSubject, name: str, section: list[Any]) -> Iterator[str]:
    current = dict(flatten(getattr(subject.resolved().config, name).model_dump(), f"{name}."))
    declared = subject.declared
    seen: set[str] = set()
    has_images = "image" in subject.spec.observation_spaces
    for case in cases(section, current, has_images=has_images):
        if case.name in _UNTRIED:
            continue
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
    outcome, small = "invalid", _half_the_updates(subject)
    for scene in _scenes(subject)[: 1 if excused else None]:
        try:
            before = subject.fingerprint(subject.resolved(scene, small | case.on))
        except ConfigError:
            continue
        for value in case.values:
            try:
                changed = subject.resolved(scene, small | case.on | {case.name: value})
                after = subject.fingerprint(changed)
            except ConfigError:
                continue
            except Exception as error:  # noqa: BLE001 - an author is told, not interrupted
                return f"raises {type(error).__name__} ({error}) when set to {value!r}"
            if _differ(before, after):
                return "differs"
            outcome = "same"
    return outcome


def _half_the_updates(subject: AlgorithmSubject) -> dict[str, Any]:
    """Of a run of the other checks, where there is such a setting: a difference shows in a few."""
    name = "train.updates_per_env_step"
    is_ours = name in subject.small and name not in subject.declared.small
    return {name: subject.small[name] / 2} if is_ours else {}


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
