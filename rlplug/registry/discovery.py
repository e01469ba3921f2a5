"""From a name to the component that an installed package provides under it.

Names are looked up in metadata, and only the component that was asked for is imported: if it is a
third party's, after a child process has imported it without harm (`registry.index`). Wherever a
name goes, `distribution:name` says whose is meant. Of several providers of one name, rlplug itself
wins; among others there is an error that lists them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rlplug.errors import PluginError, UnknownNameError
from rlplug.registry import index, preset_files
from rlplug.registry.entries import (
    OWN,
    Entry,
    Group,
    distributions,
    entries,
    incompatible,
    is_file,
    no_plugins,
    normalise,
)
from rlplug.registry.file_plugins import load_file
from rlplug.registry.loading import (
    LoadFailure,
    Mishap,
    attempt,
    import_string,
    load_entry,
    quiet,
    strict,
)
from rlplug.registry.names import suggest, unknown_name_message

if TYPE_CHECKING:
    from rlplug.specs import (
        AlgorithmSpec,
        EnvironmentFamily,
        EnvironmentSpec,
        Preset,
        TrainerSpec,
    )

__all__ = [
    "Provider",
    "find",
    "find_environment",
    "full_name",
    "import_string",
    "load",
    "load_file",
    "names",
    "no_plugins",
    "presets",
    "provider",
    "resolve",
    "resolve_algorithm",
    "resolve_environment",
    "resolve_tracker",
    "resolve_trainer",
    "suggest",
    "unknown_name_message",
]

_log = logging.getLogger(__name__)


class Provider(NamedTuple):
    """Where a component comes from; a run keeps it."""

    distribution: str
    version: str


def resolve_algorithm(name: str) -> AlgorithmSpec:
    """The algorithm of this name.

    Raises:
        UnknownNameError: with the nearest names.
        PluginError: when its plugin cannot be used, or several provide it.
    """
    spec: AlgorithmSpec = resolve("algorithms", name)
    return spec


def resolve_trainer(name: str) -> TrainerSpec:
    """The training loop of this name; raises as `resolve_algorithm`."""
    spec: TrainerSpec = resolve("trainers", name)
    return spec


def resolve_tracker(name: str) -> Any:
    """The class or function that builds the tracker; raises as `resolve_algorithm`."""
    return resolve("trackers", name)


def resolve(group: Group, name: str) -> Any:
    """The object that is registered under `name`; raises as `resolve_algorithm`."""
    entry = find(group, name)
    if entry is None:
        raise UnknownNameError(unknown_name_message(group, name, names(group)))
    return load(entry)


def resolve_environment(name: str) -> EnvironmentSpec | None:
    """The environment of this name, alias, `family/member`, or member where that is unique.

    Returns:
        None when nothing registered has this name; it may still be a Gymnasium id.

    Raises:
        UnknownNameError: for a family without its member, or a member that it does not have.
        PluginError: when its plugin cannot be used, or several provide it.
    """
    from rlplug.specs import EnvironmentFamily

    found = find_environment(name)
    if found is None:
        return None
    entry, member = found
    spec = load(entry)
    if isinstance(spec, EnvironmentFamily):
        if not member:
            some = ", ".join(f"{spec.name}/{one}" for one in spec.members[:4])
            msg = f"'{name}' is a family of {len(spec.members)} environments; name one: {some}, ..."
            raise UnknownNameError(msg)
        return _member(entry, spec, member)
    return cast("EnvironmentSpec", spec)


def _member(entry: Entry, family: EnvironmentFamily, member: str) -> EnvironmentSpec:
    """Ask a family for one of its members."""
    from rlplug.specs import EnvironmentSpec

    resolve_member = import_string(family.resolve)
    with quiet(entry.provider):
        spec = attempt(lambda: resolve_member(member))
    name = f"{family.name}/{member}"
    if isinstance(spec, Mishap):
        raise LoadFailure.of(entry._replace(name=name), spec).error()
    if not isinstance(spec, EnvironmentSpec) or spec.name != name:
        msg = f"{family.resolve} of {entry.provider} gives {spec!r:.80} for '{member}'"
        raise PluginError(f"{msg}; expected an EnvironmentSpec named '{name}'")
    return spec


def names(group: Group) -> list[str]:
    """Every name that can be asked for; families of environments by `family/member`."""
    if group != "environments":
        return sorted({entry.name for entry in entries(group)})
    found = set()
    for record in _environment_records():
        members = record.spec.get("members")
        family = record.entry.name
        found |= {family} if members is None else {f"{family}/{member}" for member in members}
    return sorted(found)


def provider(group: Group, name: str) -> Provider | None:
    """The distribution that provides a name; None when none does."""
    entry = find(group, name)
    if entry is None and group == "environments":
        entry = (find_environment(name) or (None,))[0]
    return Provider(entry.distribution, entry.version) if entry else None


def find(group: Group, name: str) -> Entry | None:
    """The entry point of this very name, or of `distribution:name`.

    Raises:
        PluginError: when several third parties offer it.
    """
    owner, bare = _split(name)
    offers = [entry for entry in entries(group) if entry.name == bare and _of(entry, owner)]
    return _only(group, name, [(entry, "") for entry in offers])[0] if offers else None


def full_name(entry: Entry) -> str:
    """The shortest name that leads to this entry: its own, or `distribution:name`."""
    try:
        is_first = find(entry.group, entry.name) == entry
    except PluginError:
        is_first = False
    return entry.name if is_first else f"{entry.distribution}:{entry.name}"


def find_environment(name: str) -> tuple[Entry, str] | None:
    """The entry point behind an environment's name, and the member where it is a family.

    Raises:
        UnknownNameError: for a member that its family does not have.
        PluginError: when several third parties offer it.
    """
    if entry := find("environments", name):
        return entry, ""
    owner, bare = _split(name)
    records = [record for record in _environment_records() if _of(record.entry, owner)]
    family, _, member = bare.partition("/")
    offers: list[tuple[Entry, str]] = []
    siblings: list[str] = []
    for entry, _, spec, _ in records:
        if "members" not in spec:
            offers += [(entry, "")] if bare in spec.get("aliases", ()) else []
        elif found := _member_called(spec, bare, member if entry.name == family else ""):
            offers.append((entry, found))
        elif member and entry.name == family:
            siblings += [f"{family}/{one}" for one in spec["members"]]
    if siblings and not offers:
        raise UnknownNameError(unknown_name_message("environments", name, siblings))
    return _only("environments", name, offers) if offers else None


def _member_called(spec: dict[str, Any], *names: str) -> str:
    """The member of a family that has one of these names, or is known by it; "" if none has."""
    for name in names:
        if name in spec["members"]:
            return name
    return next((spec["aliases"][name] for name in names if name in spec["aliases"]), "")


def load(entry: Entry) -> Any:
    """Import what an entry point leads to.

    Raises:
        PluginError: with its traceback, when it cannot be used.
    """
    if entry.distribution != OWN and not is_file(entry.distribution):
        record = index.record(distributions()[normalise(entry.distribution)])
        failure = next((one.failure for one in record.entries if one.entry == entry), None)
        if failure and (record.state == "incompatible" or not strict()):
            raise failure.error()
    with quiet(entry.provider):
        loaded = load_entry(entry)
    if isinstance(loaded, LoadFailure):
        raise loaded.error()
    return loaded


def presets(algorithm: str, environment: str) -> list[Preset]:
    """The presets for a pair: the algorithm's distribution first, then the environment's.

    A name that is taken becomes `distribution:name`, so that none is lost and none is overridden.

    Raises:
        PluginError: when those of the algorithm's or environment's own distribution are faulty.
    """
    owner = find("algorithms", algorithm)
    place = find_environment(environment)
    name = owner.name if owner else algorithm
    if place:
        environment = f"{place[0].name}/{place[1]}" if place[1] else place[0].name
    asked = [part.distribution for part in (owner, place and place[0]) if part] + [OWN]
    is_default = owner is not None and find("algorithms", name) == owner
    found: dict[str, Preset] = {}
    for entry in sorted(entries("presets"), key=lambda one: _rank(one.distribution, asked)):
        if is_default or owner is None or entry.distribution == owner.distribution:
            for preset in _presets_of(entry, name, environment, needed=entry.distribution in asked):
                key = f"{entry.distribution}:{preset.name}" if preset.name in found else preset.name
                found.setdefault(key, preset.model_copy(update={"name": key}))
    return list(found.values())


def _presets_of(entry: Entry, algorithm: str, environment: str, *, needed: bool) -> list[Preset]:
    if incompatible(distributions()[normalise(entry.distribution)]):
        return []
    try:
        file = preset_files.folder(entry) / f"{algorithm}.yaml"
        found = preset_files.read(entry, file) if file.is_file() else []
    except PluginError as error:
        if needed or strict():
            raise
        _log.warning("%s", error)
        return []
    return list(preset_files.matching(found, environment))


def _environment_records() -> list[index.EntryRecord]:
    return [
        record
        for distribution in index.read()
        if distribution.state != "disabled"
        for record in distribution.entries
        if record.entry.group == "environments"
    ]


def _split(name: str) -> tuple[str, str]:
    """`distribution:name`; a colon after anything else (`module:Env-v0`) belongs to the name."""
    owner, colon, bare = name.partition(":")
    is_owned = bool(colon) and normalise(owner) in distributions()
    return (normalise(owner), bare) if is_owned else ("", name)


def _of(entry: Entry, owner: str) -> bool:
    return not owner or normalise(entry.distribution) == owner


def _only(group: Group, name: str, offers: list[tuple[Entry, str]]) -> tuple[Entry, str]:
    """The one offer, or rlplug's own among several."""
    own = [offer for offer in offers if offer[0].distribution == OWN]
    offers = own or list(dict.fromkeys(offers))
    if len(offers) > 1:
        providers = [entry.provider for entry, _ in offers]
        last = offers[-1][0].distribution
        choices = " or ".join(f"{entry.distribution}:{name}" for entry, _ in offers)
        msg = (
            f"The {group.removesuffix('s')} '{name}' is provided by {' and by '.join(providers)}. "
            f"Say which: {choices}; or switch one off: RLPLUG_DISABLE_PLUGINS={last}"
        )
        raise PluginError(msg)
    return offers[0]


def _rank(distribution: str, asked: list[str]) -> tuple[int, str]:
    place = asked.index(distribution) if distribution in asked else len(asked)
    return place, distribution
