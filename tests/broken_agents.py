"""The reference agents with one fault each, and the one check that each fault is for."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import reference_agents as reference
import torch
from reference_agents import CriticAgent, LinearPolicy, QAgent

from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from rlplug.data import UpdateResult
    from rlplug.protocols import PolicyStep
    from rlplug.specs import AlgorithmSpec

BROKEN: dict[str, tuple[AlgorithmSpec, str]] = {}
"""By fault: the algorithm that has it, and the check that is meant to find it."""


def broken(check: str, base: AlgorithmSpec = reference.Q, **fields: Any) -> Any:
    """Register a class as the agent of an algorithm that fails a check."""

    def register(cls: Any) -> Any:
        name = "".join("-" * c.isupper() + c.lower() for c in cls.__name__).lstrip("-")
        parts: dict[str, Any] = {"name": name, "agent": f"broken_agents:{cls.__name__}", **fields}
        policy = getattr(cls, "policy_class", LinearPolicy)
        if policy is not LinearPolicy:
            parts["policy"] = f"broken_agents:{policy.__name__}"
        BROKEN[name] = (base.model_copy(update=parts), check)
        return cls

    return register


@broken("truncation bootstraps", reference.CRITIC)
class TruncationEndsTheWorld(CriticAgent):
    def discount(self, rollout: Any) -> torch.Tensor:
        return self.config.gamma * (~torch.as_tensor(rollout.episode_over)).float()


@broken("truncation bootstraps", reference.CRITIC)
class DiscountsTheCutTwice(CriticAgent):
    def discount(self, rollout: Any) -> torch.Tensor:
        cut = torch.as_tensor(rollout.episode_over & ~rollout.terminated)
        return super().discount(rollout) * torch.where(cut, self.config.gamma, 1.0)


@broken("termination ends the sum")
class TheWorldNeverEnds(QAgent):
    def returns(self, batch: Any) -> torch.Tensor:
        return super().returns(batch._replace(discount=torch.full_like(batch.discount, 0.9)))


@broken("every setting matters", config="reference_config:UnusedConfig")
class IgnoresASetting(QAgent):
    pass


@broken("config round-trips", config="reference_config:GrowingConfig")
class SettingsGrow(QAgent):
    def returns(self, batch: Any) -> torch.Tensor:
        return super().returns(batch) + 0.01 * (self.config.margin - 2.0)  # type: ignore[attr-defined]


@broken("no global state changes")
class DrawsFromTheGlobalGenerator(QAgent):
    def update(self, batch: Any) -> UpdateResult:
        np.random.random()  # noqa: NPY002
        return super().update(batch)


@broken("no global state changes")
class SetsThreads(QAgent):
    def __init__(self, config: Any, context: Any) -> None:
        torch.set_num_threads(torch.get_num_threads() + 1)
        super().__init__(config, context)


@broken("no global state changes")
class SetsTheDefaultDtype(QAgent):
    def update(self, batch: Any) -> UpdateResult:
        result = super().update(batch)
        torch.set_default_dtype(torch.float16)
        return result


class OneCoin(LinearPolicy):
    def coins(self, num_envs: int) -> Any:
        return np.repeat(self.generator.random() < self.config.epsilon, num_envs)

    def random_actions(self, num_envs: int) -> Any:
        return np.repeat(self.generator.integers(self.num_actions), num_envs)


@broken("each environment explores by itself")
class SharesNoise(QAgent):
    policy_class = OneCoin


@broken("half and a resumed half are the whole")
class ForgetsTheTarget(QAgent):
    def state_dict(self) -> dict[str, Any]:
        return {key: part for key, part in super().state_dict().items() if key != "target"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state | {"target": self.target})


class ForgetfulPolicy(LinearPolicy):
    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@broken("half and a resumed half are the whole")
class ForgetsTheGenerator(QAgent):
    policy_class = ForgetfulPolicy


class Scribbler(LinearPolicy):
    def act(self, observation: Any, policy_state: Any, *, mode: str) -> PolicyStep:
        step = super().act(observation, policy_state, mode=mode)
        observation[...] = np.round(observation, 3)
        return step


@broken("acting changes nothing")
class WritesIntoTheObservation(QAgent):
    policy_class = Scribbler


class Decaying(LinearPolicy):
    def act(self, observation: Any, policy_state: Any, *, mode: str) -> PolicyStep:
        self.weights *= 0.999
        return super().act(observation, policy_state, mode=mode)


@broken("acting changes nothing")
class ChangesWeightsWhileActing(QAgent):
    policy_class = Decaying


class ShortNumbers(LinearPolicy):
    def act(self, observation: Any, policy_state: Any, *, mode: str) -> PolicyStep:
        step = super().act(observation, policy_state, mode=mode)
        return step._replace(action=step.action.astype(np.int32))


@broken("actions are in the space")
class ReturnsAnotherDtype(QAgent):
    policy_class = ShortNumbers


class AlwaysExploring(LinearPolicy):
    def act(self, observation: Any, policy_state: Any, *, mode: str) -> PolicyStep:
        return super().act(observation, policy_state, mode="explore")


@broken("greedy is deterministic")
class ExploresWhenGreedy(QAgent):
    policy_class = AlwaysExploring


@broken("checkpoint holds no pickle")
class PicklesItself(QAgent):
    def state_dict(self) -> dict[str, Any]:
        content = pickle.dumps({"made by": "the plugin"})
        return super().state_dict() | {"blob": np.frombuffer(content, np.uint8).copy()}


@broken("last short batch is learned", reference.CRITIC)
class DropsTheLastShortBatch(CriticAgent):
    def minibatches(self, rollouts: list[Any]) -> Any:
        for batch in super().minibatches(rollouts):
            if len(batch[0]) == self.config.batch_size:
                yield batch


class OfOneSeed(LinearPolicy):
    def __init__(self, config: Any, context: Any, weights: Any = None) -> None:
        super().__init__(config, context._replace(seeds=Seeds(0, "mine")), weights)


@broken("same seed, same weights")
class IgnoresTheSeed(QAgent):
    policy_class = OfOneSeed

    def __init__(self, config: Any, context: Any) -> None:
        super().__init__(config, context._replace(seeds=Seeds(0, "mine")))


@broken("NaN reward ends the run")
class HidesNan(QAgent):
    def returns(self, batch: Any) -> torch.Tensor:
        return super().returns(batch).nan_to_num(0.0)


@broken("declared spaces train", action_spaces=("discrete", "multi-discrete"))
class PromisesTooMuch(QAgent):
    pass


@broken("imports are light", config="broken_imports:HeavyConfig")
class ImportsTorchWithItsConfig(QAgent):
    pass


class Deaf(LinearPolicy):
    def set_weights(self, weights: Any) -> None:
        pass


@broken("policy travels to workers")
class TakesNoWeights(QAgent):
    policy_class = Deaf


class Unforgetting(LinearPolicy):
    """Counts calls since the run began, where an episode's should be counted."""

    def initial_state(self, num_envs: int) -> Any:
        return np.zeros(num_envs, np.int64)

    def act(self, observation: Any, policy_state: Any, *, mode: str) -> PolicyStep:
        step = super().act(observation, policy_state, mode=mode)
        action = (step.action + policy_state) % self.num_actions
        return step._replace(action=action, state=policy_state + 1)


@broken("autoreset modes agree")
class CountsCallsAcrossEpisodes(QAgent):
    policy_class = Unforgetting
