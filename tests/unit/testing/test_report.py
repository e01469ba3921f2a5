from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rlplug.testing import Report, Result

if TYPE_CHECKING:
    from pathlib import Path


def result(subject: str, name: str, status: str, reason: str = "") -> Result:
    return Result(subject, name, "It holds.", "fast", status, 0.5, reason, "")  # type: ignore[arg-type]


REPORT = Report(
    (
        result("a", "first", "passed"),
        result("a", "second", "failed", "It is wrong."),
        result("b", "first", "skipped", "no images"),
    )
)


def test_the_file_has_the_documented_keys(tmp_path: Path) -> None:
    REPORT.write(tmp_path / "conformance.json")
    written = json.loads((tmp_path / "conformance.json").read_text())
    assert set(written) == {"schema", "created", "versions", "passed", "subjects"}
    assert (written["schema"], written["passed"]) == (1, False)
    assert {"python", "rlplug", "torch", "numpy", "gymnasium"} <= set(written["versions"])
    first, second = written["subjects"]
    assert set(first) == {"name", "passed", "seconds", "checks"}
    assert (first["name"], first["passed"], first["seconds"]) == ("a", False, 1.0)
    assert second["passed"]
    assert first["checks"][1] == {
        "name": "second",
        "proves": "It holds.",
        "tier": "fast",
        "status": "failed",
        "seconds": 0.5,
        "reason": "It is wrong.",
        "traceback": "",
    }


def test_what_fails_is_raised_by_name() -> None:
    with pytest.raises(AssertionError, match=r"^a fails 'second': It is wrong\.$"):
        REPORT.require()
    Report(REPORT.results[:1]).require()
