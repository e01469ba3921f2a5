"""Every registered algorithm trains with workers, in each mode that it can, and refuses the other.

What passes between the processes is pickled as between processes; where they run is not what is
tested here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from worker_world import InlineEngine

from rlplug.errors import IncompatibleError
from rlplug.registry import discovery
from rlplug.resolve import resolve
from rlplug.train.run import train

if TYPE_CHECKING:
    from pathlib import Path

OWN = sorted(
    name
    for name in discovery.names("algorithms")
    if (provider := discovery.provider("algorithms", name)) and provider.distribution == "rlplug"
)
SMALL = {
    "tracking.tensorboard": False,
    "tracking.console": "off",
    "evaluate.final_episodes": 2,
    "evaluate.num_envs": 2,
    "evaluate.every_env_steps": 1000,
    "env.max_episode_steps": 20,
}


def resolved(algorithm: str, mode: str) -> Any:
    spec = discovery.resolve_algorithm(algorithm)
    environment = "cartpole" if "discrete" in spec.action_spaces else "pendulum"
    small = dict(SMALL)
    if discovery.resolve_trainer(spec.trainer).replay_config:
        small |= {"train.warmup_env_steps": 40, "train.steps": 96, "train.collect_env_steps": 8}
    else:
        small |= {"train.rollout_length": 16, "train.steps": 96}
    return resolve(
        algorithm,
        environment,
        preset=None,
        overrides=small,
        workers=2,
        launcher="ray",
        mode=mode,
        device="cpu",
    )


def can_be_async(algorithm: str) -> bool:
    spec = discovery.resolve_algorithm(algorithm)
    learns_from_replay = discovery.resolve_trainer(spec.trainer).replay_config is not None
    return learns_from_replay or "async" in spec.features


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("algorithm", OWN)
def test_it_trains_or_is_refused(
    algorithm: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = InlineEngine()
    monkeypatch.setattr("rlplug.train.build.start_engine", lambda _: engine)
    run = resolved(algorithm, mode)
    if mode == "async" and not can_be_async(algorithm):
        with pytest.raises(IncompatibleError, match=r"--mode sync, or appo"):
            train(run, run_root=tmp_path)
        assert not list(tmp_path.iterdir())
        engine.close()
        return
    result = train(run, run_root=tmp_path)
    assert result.env_steps == 96
    assert len(result.evaluation.returns) == 2
    assert engine.is_closed
