"""Evaluation beside training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pytest

from rlplug.protocols import AgentContext
from rlplug.resolve import resolve
from rlplug.seeding import Seeds
from rlplug.testing.scripted import ScriptedPolicy
from rlplug.train.evaluation import InlineEvaluation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlplug.protocols import PolicyContext

CARTPOLE = gymnasium.make("CartPole-v1")


class FakeAgent:
    """Hands out policies that push to the left, and keeps them."""

    def __init__(self) -> None:
        self.policies: list[ScriptedPolicy] = []

    def policy(self, context: PolicyContext) -> ScriptedPolicy:
        self.policies.append(ScriptedPolicy(None, context))
        return self.policies[-1]


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
def evaluation(agent: FakeAgent) -> Iterator[Any]:
    """Build one: `evaluation(num_envs=3)`; all are closed at the end."""
    built: list[InlineEvaluation] = []

    def make(seed: int = 0, **settings: Any) -> InlineEvaluation:
        resolved = resolve("dqn", "cartpole", overrides=settings, seed=seed)
        spaces = CARTPOLE.observation_space, CARTPOLE.action_space
        context = AgentContext(*spaces, 1000, Seeds(seed))
        fake: Any = agent
        built.append(InlineEvaluation(resolved, fake, context, Seeds(seed).child("evaluation")))
        return built[-1]

    yield make
    for one in built:
        one.close()
        one.close()


def test_it_plays_whole_episodes_in_as_many_environments_as_configured(
    evaluation: Any, agent: FakeAgent
) -> None:
    report = evaluation(**{"evaluate.num_envs": 3})(7, 200)
    assert len(report.returns) == report.episodes == 7
    assert report.returns == report.lengths  # CartPole pays one for each step
    assert agent.policies[0].context.streams.tolist() == [0, 1, 2]


def test_the_policy_is_told_the_step_that_it_is_evaluated_at(
    evaluation: Any, agent: FakeAgent
) -> None:
    evaluation()(1, 345)
    assert agent.policies[0].progress == [345]


def test_episodes_follow_from_seed_and_step_alone(evaluation: Any) -> None:
    one, same, other = evaluation(1), evaluation(1), evaluation(2)
    before = one(5, 100).lengths
    first = one(5, 200).lengths
    assert same(5, 200).lengths == first  # whatever was evaluated before
    assert other(5, 200).lengths != first
    assert before != first


def test_its_policy_draws_from_generators_of_its_own_at_each_step(
    evaluation: Any, agent: FakeAgent
) -> None:
    for _ in range(2):
        evaluate = evaluation(1)
        evaluate(1, 100)
        evaluate(1, 200)
    draws = [policy.context.seeds.numpy("x").random(4) for policy in agent.policies]
    assert np.array_equal(draws[0], draws[2])
    assert not np.array_equal(draws[0], draws[1])


def test_its_environments_are_made_once_with_what_evaluation_adds(evaluation: Any) -> None:
    made: list[dict[str, Any]] = []

    def make(**kwargs: Any) -> Any:
        made.append(kwargs)
        return gymnasium.make("CartPole-v1")

    resolved = resolve(
        "dqn",
        make,
        overrides={
            "env.kwargs": {"level": 1, "size": 2},
            "env.evaluation_kwargs": {"level": 9},
            "evaluate.num_envs": 2,
        },
    )
    evaluate = evaluation()
    evaluate._resolved = resolved
    evaluate(2, 0)
    evaluate(2, 0)
    assert made == [{"level": 9, "size": 2}] * 2
