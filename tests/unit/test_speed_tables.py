"""Who is measured in `python -m benchmarks`, and what its ratios are of."""

from __future__ import annotations

import pytest
import torch

from benchmarks.__main__ import System, ratios, systems_of
from benchmarks.bare import LEARNERS
from benchmarks.work import VARIANTS, WORK


@pytest.mark.parametrize("work", WORK)
def test_each_is_measured_as_installed_and_otherwise_and_so_is_the_limit(work: str) -> None:
    systems = systems_of(work, "sb3", "cpu")
    threads = {name: [s.threads for s in systems if s.name == name] for name in ("sb3", "limit")}
    assert threads == {"sb3": ["default", "1"], "limit": ["default", "1"]}
    ours = [system for system in systems if system.name == "ours"]
    assert ours[0] == System("ours", "auto")
    assert len({system.threads for system in ours}) == 2
    assert {system.variant for system in ours} == {"", *WORK[work].variants} <= set(VARIANTS)


def test_on_a_gpu_there_is_a_row_with_graphs() -> None:
    assert System("ours", "auto", "compiled") in systems_of("W4", "sb3", "cuda")


def test_ratios_are_of_turns_to_who_is_better_by_the_median() -> None:
    def rates(*each: float) -> list[dict[str, float]]:
        return [{"steps_per_second": rate} for rate in each]

    lines = ratios(
        {
            System("ours", "auto"): rates(100, 300, 200),
            System("ours", "2"): rates(90, 80, 70),
            System("ours", "auto", "bfloat16"): rates(400, 400, 400),
            System("sb3", "default"): rates(500, 10, 10),
            System("sb3", "1"): rates(50, 100, 50),
            System("limit", "1"): rates(200, 200, 200),
        }
    )
    assert [line for line in lines if line] == [
        "Ratio of ours (auto threads) to sb3 at its better setting (1 threads): **3.00** "
        "(2.00-4.00).",
        "Ratio of ours (auto threads) to limit at its better setting (1 threads): **1.00** "
        "(0.50-1.50).",
        "Ratio of ours, bfloat16 (auto threads) to sb3 at its better setting (1 threads): "
        "**8.00** (4.00-8.00).",
        "Ratio of ours, bfloat16 (auto threads) to limit at its better setting (1 threads): "
        "**2.00** (2.00-2.00).",
    ]


@pytest.mark.parametrize("name", ["W1", "W2", "W3", "W4", "W5"])
def test_bare_torch_learns_what_it_repeats(name: str) -> None:
    """That its updates are updates: the loss of a fixed minibatch falls."""
    small = WORK[name].limit._replace(hidden_sizes=(16,), batch_size=16, learning_rate=1e-2)
    torch.manual_seed(0)
    learner = LEARNERS[WORK[name].match.algorithm](small)
    learner.act()
    losses = [learner.update().item() for _ in range(100)]
    assert losses[-1] < losses[0]
