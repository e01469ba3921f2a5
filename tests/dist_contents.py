"""What may be in a wheel or source archive of ours: `python tests/dist_contents.py FOLDER`."""

from __future__ import annotations

import email
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
LICENCE = (ROOT / "LICENSE").read_bytes()
SOURCES = {
    "rlplug": ROOT / "rlplug",
    "rlplug_atari": ROOT / "plugins/rlplug-atari/src/rlplug_atari",
    "rlplug_mujoco": ROOT / "plugins/rlplug-mujoco/src/rlplug_mujoco",
    "rlplug_procgen": ROOT / "plugins/rlplug-procgen/src/rlplug_procgen",
}
"""Where each distribution's package comes from, by its name as files have it."""


def faults(archive: Path) -> list[str]:
    """What is wrong with a wheel or source archive; nothing, or one line for each."""
    name = archive.name.partition("-")[0]
    if name not in SOURCES:
        return [f"{archive.name}: is none of {', '.join(SOURCES)}"]
    check = _wheel_faults if archive.suffix == ".whl" else _source_faults
    return [f"{archive.name}: {fault}" for fault in check(archive, name)]


def _package_files(name: str) -> set[str]:
    source = SOURCES[name]
    files = (
        file for file in source.rglob("*") if file.is_file() and "__pycache__" not in str(file)
    )
    return {f"{name}/{file.relative_to(source).as_posix()}" for file in files}


def _wheel_faults(wheel: Path, name: str) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        contents = {each: archive.read(each) for each in archive.namelist()}
    information = {each for each in contents if ".dist-info/" in each}
    (metadata,) = (contents[each] for each in information if each.endswith("/METADATA"))
    found = _metadata_faults(metadata)
    licences = [contents[each] for each in information if each.endswith("/licenses/LICENSE")]
    if licences != [LICENCE]:
        found.append("does not carry the LICENSE of the repository")
    expected = _package_files(name)
    found += [f"lacks {each}" for each in sorted(expected - contents.keys())]
    found += [f"carries {each}" for each in sorted(contents.keys() - information - expected)]
    return found


def _source_faults(archive: Path, name: str) -> list[str]:
    with tarfile.open(archive) as opened:
        files = {
            str(PurePosixPath(*PurePosixPath(member.name).parts[1:])): member
            for member in opened.getmembers()
            if member.isfile()
        }
        texts = {
            each: opened.extractfile(files[each]).read()  # type: ignore[union-attr]  # is a file
            for each in ("PKG-INFO", "LICENSE")
            if each in files
        }
    found = _metadata_faults(texts.get("PKG-INFO", b""))
    if texts.get("LICENSE") != LICENCE:
        found.append("does not carry the LICENSE of the repository")
    inside = "" if name == "rlplug" else "src/"
    expected = {f"{inside}{each}" for each in _package_files(name)} | {"README.md"}
    found += [f"lacks {each}" for each in sorted(expected - files.keys())]
    strangers = [each for each in sorted(files) if each.startswith(("plugins/", "runs/", "dist/"))]
    return found + [f"carries {each}" for each in strangers]


def _metadata_faults(metadata: bytes) -> list[str]:
    about = email.message_from_bytes(metadata)
    found = []
    if about["License-Expression"] != "MIT":
        found.append(f"says the licence is {about['License-Expression']}, expected MIT")
    if about["License-File"] != "LICENSE":
        found.append("names no licence file")
    if not about.get_payload():
        found.append("has no description")
    return found


def main(folder: str) -> int:
    """Print the faults of all archives in a folder, and say whether there are any."""
    archives = sorted(Path(folder).iterdir())
    found = [fault for archive in archives for fault in faults(archive)]
    print("\n".join(found) or f"{len(archives)} archives hold what they should.")
    return bool(found) or not archives


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
