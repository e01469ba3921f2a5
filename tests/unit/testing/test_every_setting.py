"""Algorithms of one family have their settings tried once, whichever comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from reference_agents import CRITIC, Q

from rlplug.specs import AlgorithmConformance
from rlplug.testing import every_setting
from rlplug.testing.check import NonConformanceError
from rlplug.testing.subject import AlgorithmSubject

if TYPE_CHECKING:
    from rlplug.specs import AlgorithmSpec

MEMBER = Q.model_copy(
    update={"name": "eager-q", "defaults": {"agent": {"epsilon": 0.0}}, "conformance": None}
)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the algorithms whose settings are tried; each has one that changes nothing."""
    names: list[str] = []

    def problems(subject: AlgorithmSubject, section: str, settings: Any) -> list[str]:
        if section != "agent":
            return []
        names.append(subject.name)
        return [f"agent.{settings[0].name} of {subject.name} changes nothing."]

    monkeypatch.setattr(every_setting, "_problems", problems)
    monkeypatch.setattr(every_setting, "_found", {})
    return names


def member(spec: AlgorithmSpec, of: str) -> AlgorithmSubject:
    subject = AlgorithmSubject(spec)
    subject.__dict__["declared"] = AlgorithmConformance(settings_of=of)
    return subject


@pytest.mark.parametrize("comes_first", ["member", "leader"])
def test_a_member_has_what_its_leader_has_whichever_comes_first(
    tried: list[str], comes_first: str
) -> None:
    subjects = [member(MEMBER, "reference_agents:Q"), AlgorithmSubject(Q)]
    for subject in subjects if comes_first == "member" else reversed(subjects):
        with pytest.raises(NonConformanceError, match="of linear-q changes nothing"):
            every_setting.every_setting_matters(subject)
    assert tried == ["linear-q"]


def test_a_member_that_names_nobody_is_tried_itself(tried: list[str]) -> None:
    for spec in (Q, MEMBER):
        with pytest.raises(NonConformanceError, match=f"of {spec.name} changes nothing"):
            every_setting.every_setting_matters(AlgorithmSubject(spec))
    assert tried == ["linear-q", "eager-q"]


def test_the_settings_of_another_agent_prove_nothing(tried: list[str]) -> None:
    with pytest.raises(
        NonConformanceError, match=r"linear-q, which has another config \(reference"
    ):
        every_setting.every_setting_matters(member(CRITIC, "reference_agents:Q"))
    assert tried == []
