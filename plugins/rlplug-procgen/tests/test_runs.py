"""Whole runs by the command line, with a small network and short episodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SMALL = (
    "--agent.network.encoder nature-cnn --agent.network.trunk_sizes [] --agent.batch_size 64 "
    "--agent.epochs 1 --launch.num_envs 4 --train.rollout_length 16 --env.max_episode_steps 20 "
    "--evaluate.num_envs 2 --evaluate.episodes 2 --evaluate.final_episodes 3 "
    "--evaluate.every_env_steps 128 --launch.threads 1 --tracking.tensorboard false --console plain"
)


def runs() -> list[Path]:
    return sorted(Path("runs").rglob("run.json"))


def parts(run: Path, step: int) -> dict[str, bytes]:
    """Every file of a checkpoint whose content time has no part in."""
    folder = run / "checkpoints" / f"step-{step:09}"
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.name.partition(".")[0] in {"policy_weights", "agent", "collector", "trainer"}
    }


# imageio-ffmpeg 0.3 leaves a pipe of its ffmpeg open, which the garbage collection then tells of
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("game", ["bossfight"])
def test_a_run_and_its_two_halves_are_the_same_bit_for_bit(cli: Any, game: str) -> None:
    code, out, err = cli(f"train ppo {game} {SMALL} --steps 256")
    assert code == 0, err
    assert "Gym" not in out + err  # the old gym's banner
    (whole,) = (file.parent for file in runs())
    assert cli(f"train ppo {game} {SMALL} --steps 128 --run-dir runs/half")[0] == 0
    (half,) = (file.parent for file in runs() if "half" in file.parts)
    assert parts(half, 128) != parts(whole, 256)
    code, out, err = cli(f"train --resume {half} --steps 256")
    assert code == 0, err
    assert "cannot be read" not in out + err  # no episode began again
    first, second = parts(whole, 256), parts(half, 256)
    assert set(first) >= {"policy_weights.safetensors", "agent.safetensors"}
    assert first == second
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    evaluations = [row for row in rows if "evaluation/mean_return" in row]
    assert [row["env_steps"] for row in evaluations] == [128, 256]
    for row in evaluations:
        seen = row["evaluation/training-levels/mean_return"]
        assert row["evaluation/mean_return"] == seen
        score = row["evaluation/training-levels/normalized_score"]
        assert score == pytest.approx((seen - 0.5) / 12.5)
        assert "evaluation/all-levels/mean_return" in row
    report = json.loads(cli(f"eval {whole} --episodes 4 --mode sample --json")[1])
    assert list(report["sets"]) == ["training-levels", "all-levels"]
    assert [len(one["returns"]) for one in report["sets"].values()] == [4, 4]
    alone = json.loads(cli(f"eval {whole} --episodes 4 --mode sample --json --set all-levels")[1])
    assert alone["returns"] == report["sets"]["all-levels"]["returns"]
    code, _, err = cli(f"eval {whole} --episodes 1 --video boss.mp4")
    assert code == 0, err
    assert Path("boss.mp4").stat().st_size > 1000


def test_the_value_family_learns_from_pixels_too(cli: Any) -> None:
    code, _, err = cli(
        "train dqn procgen/maze --preset none --agent.network.encoder nature-cnn --steps 160 "
        "--replay.capacity 500 --train.warmup_env_steps 64 --train.collect_env_steps 16 "
        "--train.updates_per_env_step 0.0625 --agent.batch_size 8 --evaluate.num_envs 2 "
        "--evaluate.episodes 2 --evaluate.final_episodes 2 --env.max_episode_steps 20 "
        "--evaluate.every_env_steps 1000 --tracking.tensorboard false --launch.threads 1 "
        "--launch.num_envs 4"
    )
    assert code == 0, err


def test_a_wrapper_takes_single_games_in_turn(cli: Any) -> None:
    wrapper = "--env.wrappers [gymnasium.wrappers:GrayscaleObservation]"
    code, _, err = cli(f"train ppo maze {SMALL} --steps 128 {wrapper}")
    assert code == 0, err
    (run,) = (file.parent for file in runs())
    spaces = json.loads((run / "spaces.json").read_text())
    assert spaces["observation_space"]["shape"] == [64, 64]


def test_the_step_adapter_gets_true_transitions() -> None:
    from rlplug.envs.adapter import StepAdapter
    from rlplug.envs.make import make_vector
    from rlplug.registry import discovery
    from rlplug_procgen.config import ProcgenConfig

    spec = discovery.resolve_environment("coinrun")
    assert spec is not None
    config = ProcgenConfig(max_episode_steps=5)
    for evaluation, is_protocol in (
        (False, True),
        ("training-levels", True),
        ("all-levels", False),
    ):
        vector = make_vector(spec, config, 8, evaluation=evaluation)
        adapter = StepAdapter(vector, name="coinrun")
        adapter.reset(0)
        assert bool((vector.level_seeds() < 200).all()) == is_protocol
        for _ in range(4):
            step = adapter.step(np.full(8, 4))
            assert step.valid.all()
            assert len(step.final_envs) == 0
        step = adapter.step(np.full(8, 4))
        assert step.truncated.all()
        assert step.final_observation.shape == (8, 64, 64, 3)
        assert not np.array_equal(step.final_observation, step.observation)
        adapter.close()
