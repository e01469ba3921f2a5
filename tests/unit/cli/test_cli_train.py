from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rlplug.cli.seeds import parse_seeds
from rlplug.errors import ConfigError, DivergedError, InterruptedRunError
from rlplug.resolve import CONFIG_FILE, resolve, to_yaml

if TYPE_CHECKING:
    from pathlib import Path


class Report:
    """An evaluation, as far as the command line reads it."""

    def __init__(self, mean_return: float) -> None:
        self.mean_return = mean_return

    def to_dict(self) -> dict[str, Any]:
        return {"mean_return": self.mean_return, "std_return": 1.0, "episodes": 50}


class Trainer:
    """Stands in for `rlplug.train.run`, and notes what it is asked to do."""

    def __init__(self) -> None:
        self.resolved: list[Any] = []
        self.resumed: list[Any] = []
        self.fail: dict[int, Exception] = {}
        self.init_from: Any = None

    def train(self, resolved: Any, *, run_root: Path, command: list[str], **more: Any) -> Any:
        self.resolved.append(resolved)
        self.init_from = more.get("init_from")
        assert command is sys.argv
        seed = resolved.config.seed
        if seed in self.fail:
            raise self.fail[seed]
        folder = run_root / f"run-{seed}"
        return SimpleNamespace(
            run_dir=folder, env_steps=100, stopped_by=None, evaluation=Report(10.0 * seed)
        )

    def resume(self, run_dir: Path, *, overrides: Any) -> Any:
        self.resumed.append((run_dir, overrides))
        return SimpleNamespace(
            run_dir=run_dir, env_steps=200, stopped_by="a hook", evaluation=Report(7.0)
        )

    @property
    def config(self) -> Any:
        (resolved,) = self.resolved
        return resolved.config


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    trainer = Trainer()
    monkeypatch.setitem(sys.modules, "rlplug.train.run", trainer)
    return trainer


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder with its settings."""
    folder = tmp_path / "runs" / "cartpole" / "dqn" / "20260102-030405-0"
    folder.mkdir(parents=True)
    (folder / CONFIG_FILE).write_text(to_yaml(resolve("dqn", "cartpole").config))
    return folder


def test_every_option_reaches_the_config_in_any_order(cli: Any, trainer: Trainer) -> None:
    outcome = cli(
        "train --agent.batch_size 32 dqn --seed 3 cartpole --agent.head=iqn --steps 1e4 "
        "--workers 4 --envs-per-worker 2 --device cpu --console plain --env.kwargs.a.b 1"
    )
    assert (outcome.code, outcome.err) == (0, "")
    config = trainer.config
    assert (config.algorithm, config.environment, config.seed) == ("dqn", "cartpole", 3)
    assert (config.agent.batch_size, config.agent.head.kind) == (32, "implicit-quantile")
    assert (config.train.steps, config.launch.total_envs, config.device) == (10_000, 8, "cpu")
    assert config.tracking.console == "plain"
    assert config.env.kwargs == {"a": {"b": 1}}


def test_workers_divide_the_environments_of_the_preset(cli: Any, trainer: Trainer) -> None:
    cli("train dqn cartpole --workers 8")
    assert trainer.config.launch.total_envs == 8


def test_a_config_file_lies_below_the_command_line(
    cli: Any, trainer: Trainer, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text("agent: {batch_size: 8}\nseed: 5\nenvironment: cartpole\n")
    assert cli("train dqn --config a.yaml --agent.batch_size 16").code == 0
    assert (trainer.config.agent.batch_size, trainer.config.seed) == (16, 5)


def test_without_a_preset_none_is_used(cli: Any, trainer: Trainer) -> None:
    cli("train dqn cartpole --preset none")
    assert trainer.resolved[0].preset is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train dqnn cartpol", ["'dqnn'", "'dqn'", "'cartpol'", "'cartpole'", "rlplug list"]),
        ("train dqn cartpole --agent.batchsize 64", ["'agent.batchsize'", "'agent.batch_size'"]),
        ("train dqn cartpole --agent.batchsize=64", ["'agent.batch_size' (a whole number above"]),
        ("train dqn cartpole --agent.gamma 0.9", ["'replay.gamma'"]),
        ("train dqn cartpole --agent.batch_size many", ["agent.batch_size", "'many'", "number"]),
        ("train dqn cartpole --agent.batch_size -1", ["agent.batch_size", "-1", "above 0"]),
        ("train dqn cartpole --agent.batch_size 1.5", ["agent.batch_size", "1.5", "whole number"]),
        ("train dqn cartpole --agnt.batch_size 64", ["'agnt'", "'agent'", "replay, env, train"]),
        ("train dqn cartpole --agent.head nope", ["agent.head", "'nope'", "quantile"]),
        ("train dqn cartpole --agent.head [1", ["agent.head", "'[1'"]),
        ("train dqn cartpole --agent.batch_size", ["--agent.batch_size has no value"]),
        ("train dqn cartpole --steps many", ["train.steps", "'many'", "whole number above 0"]),
        ("train dqn cartpole --workers 0", ["launch.workers", "0 is not a whole number above 0"]),
        ("train dqn cartpole --seed -1", ["seed", "-1", "at least 0"]),
        ("train dqn cartpole --device gpu", ["device", "'gpu'", "cuda"]),
        ("train dqn cartpole --preset fast", ["'fast'", "dqn on cartpole"]),
        ("train dqn cartpole --console loud", ["--console", "loud"]),
        ("train dqn cartpole --config nope.yaml", ["nope.yaml", "No such file"]),
        ("train dqn cartpole --seeds 4-0", ["--seeds", "'4-0'", "0-4"]),
        ("train dqn cartpole --seeds 1,1", ["--seeds", "twice"]),
        ("train dqn cartpole --seed 1 --seeds 0-1", ["--seed", "exclude"]),
        ("train dqn", ["Name an algorithm and an environment"]),
        ("train dqn LunarLandr-v3", ["'LunarLandr-v3'", "'LunarLander-v3'"]),
        ("train dqn nomodule:Env-v0", ["nomodule"]),
        ("train dqn pendulum --dry-run", ["discrete actions", "Box(1,)"]),
        ("train --resume nope", ["No run folder at nope: nothing is there"]),
        ("train --resume last", ["There is no run", "rlplug train"]),
        ("show dqnn cartpole", ["'dqn'"]),
        ("train dqnn --agent.x 3", ["Name an algorithm"]),
        ("eval nope", ["nope does not exist"]),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_2(
    cli: Any, trainer: Trainer, tmp_path: Path, line: str, words: list[str]
) -> None:
    outcome = cli(line)
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")
    assert outcome.out == ""
    for word in (*words, ""):
        assert word in outcome.err
    for word in ("Traceback", "pydantic", "\n\n"):
        assert word not in outcome.err
    assert not trainer.resolved
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agent: {batch_size: [1", "a.yaml, line 1: not YAML"),
        ("seed: 1\nseed: 2\n", "a.yaml, line 2: 'seed' is given twice"),
        ("agent:\n  batchsize: 1\n", "a.yaml, line 2: There is no setting 'agent.batchsize'"),
        ("seed: 1\nagent:\n  batch_size: many\n", "a.yaml, line 3: agent.batch_size: 'many'"),
        ("- agent\n", "a.yaml, line 1: expected settings by section"),
    ],
)
def test_a_bad_config_file_is_named_with_its_line(
    cli: Any, trainer: Trainer, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    outcome = cli("train dqn cartpole --config a.yaml")
    assert outcome.code == 2
    assert words in outcome.err
    assert not trainer.resolved


def test_a_pair_that_does_not_fit_leaves_no_trace(cli: Any, tmp_path: Path) -> None:
    outcome = cli("train dqn pendulum")
    assert outcome.code == 2
    assert "dqn needs discrete actions; pendulum has Box(1,)" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_what_would_run_and_makes_nothing(
    cli: Any, trainer: Trainer, tmp_path: Path
) -> None:
    outcome = cli("train dqn cartpole --dry-run --workers 2 --steps 2e3 --agent.batch_size 32")
    assert outcome.code == 0
    for words in ("dqn", "cartpole", "Discrete(2)", "2000", "runs/cartpole/dqn/", "command line"):
        assert words in outcome.out
    assert not trainer.resolved
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_counts_the_updates(cli: Any) -> None:
    outcome = cli(
        "train dqn cartpole --dry-run --json --steps 2000 --train.warmup_env_steps 500 "
        "--train.updates_per_env_step 0.5"
    )
    plan = json.loads(outcome.out)
    assert plan["updates"] == 750
    assert plan["changed"]["train.steps"] == 2000


def test_the_outcome_is_there_as_json(cli: Any, trainer: Trainer) -> None:
    outcome = cli("train dqn cartpole --json --seed 4 --run-dir out")
    assert json.loads(outcome.out) == {
        "run_dir": "out/run-4",
        "env_steps": 100,
        "stopped_by": None,
        "evaluation": {"mean_return": 40.0, "std_return": 1.0, "episodes": 50},
    }
    assert trainer.config.tracking.console == "off"


def test_several_seeds_train_in_turn_and_end_in_a_table(cli: Any, trainer: Trainer) -> None:
    outcome = cli("train dqn cartpole --seeds 0-2,7")
    assert [resolved.config.seed for resolved in trainer.resolved] == [0, 1, 2, 7]
    assert outcome.out.splitlines()[0].split() == ["seed", "return", "environment", "steps", "run"]
    assert "runs/run-7" in outcome.out
    assert "Mean of the runs     25.0 ± 31.1" in outcome.out
    assert "Interquartile mean   15.0, 95 % interval" in outcome.out


def test_several_seeds_as_json(cli: Any, trainer: Trainer) -> None:
    report = json.loads(cli("train dqn cartpole --seeds 1,3 --json").out)
    assert [run["seed"] for run in report["runs"]] == [1, 3]
    assert (report["mean"], report["interquartile_mean"]) == (20.0, 20.0)
    assert report["interval"] == [10.0, 30.0]


def test_a_run_that_fails_does_not_stop_the_others(cli: Any, trainer: Trainer) -> None:
    trainer.fail[1] = DivergedError("loss is nan at 50.")
    outcome = cli("train dqn cartpole --seeds 0-2")
    assert outcome.code == 5
    assert len(trainer.resolved) == 3
    assert "loss is nan at 50." in outcome.out
    assert outcome.err == "Error: loss is nan at 50.\n"


def test_an_interrupt_stops_them_all(cli: Any, trainer: Trainer) -> None:
    trainer.fail[1] = InterruptedRunError("Saved.", exit_code=143)
    outcome = cli("train dqn cartpole --seeds 0-2")
    assert outcome.code == 143
    assert len(trainer.resolved) == 2
    assert "runs/run-0" in outcome.out


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-4", [0, 1, 2, 3, 4]), ("0,1,7", [0, 1, 7]), ("3", [3]), ("0-1, 5", [0, 1, 5])],
)
def test_seeds_are_ranges_and_lists(text: str, numbers: list[int]) -> None:
    assert parse_seeds(text, None) == numbers


@pytest.mark.parametrize("text", ["", "a", "-1", "1-", "0..4", "1;2"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="0-4 or 0,1,7"):
        parse_seeds(text, None)


@pytest.mark.parametrize("name", ["last", "runs/cartpole/dqn/20260102-030405-0"])
def test_a_run_goes_on_with_more_steps(
    cli: Any, trainer: Trainer, run_dir: Path, name: str
) -> None:
    outcome = cli(f"train --resume {name} --steps 5e5 --evaluate.episodes 3 --json")
    assert outcome.code == 0
    ((folder, overrides),) = trainer.resumed
    assert folder.resolve() == run_dir
    assert overrides == [
        ("train.steps", "5e5"),
        ("tracking.console", "off"),
        ("evaluate.episodes", "3"),
    ]
    assert json.loads(outcome.out)["stopped_by"] == "a hook"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--agent.batch_size 3", "agent.batch_size cannot change when a run goes on"),
        ("--seed 3", "seed cannot change when a run goes on"),
        ("--workers 3", "launch.workers cannot change"),
        ("--dry-run", "--resume goes on as the run was"),
        ("--seeds 0-1", "--resume goes on as the run was"),
        ("--steps many", "train.steps: 'many' is not a whole number"),
        ("c51 cartpole", "trains dqn on cartpole"),
    ],
)
@pytest.mark.usefixtures("run_dir")
def test_a_resumed_run_stays_the_run_it_is(
    cli: Any, trainer: Trainer, line: str, words: str
) -> None:
    outcome = cli(f"train --resume last {line}")
    assert outcome.code == 2
    assert words in outcome.err
    assert not trainer.resumed


def test_a_run_goes_on_from_its_newest_checkpoint_and_from_no_other(
    cli: Any, trainer: Trainer, tmp_path: Path
) -> None:
    from rlplug.run_folder import RunFolder

    run = RunFolder.create(
        tmp_path / "runs", resolve("dqn", "cartpole").config, command=[], versions={}
    )
    run.close()
    path = run.checkpoints / "step-000000010"
    path.mkdir()
    outcome = cli(f"train --resume {path} --steps 900")
    assert outcome.code == 2
    assert f"goes on from its newest checkpoint: --resume {run.path}." in outcome.err
    assert f"--init-from {run.path}:CHECKPOINT" in outcome.err
    outcome = cli("train --resume latest")
    assert outcome.code == 2
    assert "No run folder at latest" in outcome.err
    assert not trainer.resumed


def test_a_resumed_run_may_be_named_with_its_pair(
    cli: Any, trainer: Trainer, run_dir: Path
) -> None:
    assert cli(f"train dqn cartpole --resume {run_dir}").code == 0
    assert len(trainer.resumed) == 1


def test_weights_may_come_from_another_run(
    cli: Any, trainer: Trainer, run_dir: Path, tmp_path: Path
) -> None:
    from rlplug.checkpoint import CheckpointInfo, save_checkpoint
    from rlplug.run_folder import RunFolder

    run = RunFolder.create(
        tmp_path / "runs", resolve("dqn", "cartpole").config, command=[], versions={}
    )
    run.close()
    for env_steps, score in ((10, 5.0), (20, 1.0)):
        info = CheckpointInfo(env_steps=env_steps, mean_return=score)
        save_checkpoint(run.checkpoints, {}, info=info)
    for source, name in (
        (f"{run.path}", "step-000000020"),
        (f"{run.path}:best", "step-000000010"),
        (f"{run.path}:step-000000010", "step-000000010"),
        (f"{run.checkpoints}/step-000000020", "step-000000020"),
    ):
        assert cli(f"train dqn cartpole --init-from {source} --init-partial").code == 0
        assert trainer.init_from == (run.checkpoints / name, True)
    for source, words in (
        ("nowhere", "No run folder at nowhere"),
        (f"{run.path}:step-000000030", "has no checkpoint 'step-000000030'"),
        (f"{run.path}:../../x", "has no checkpoint '../../x'"),
    ):
        outcome = cli(f"train dqn cartpole --init-from {source}")
        assert outcome.code in {1, 2}
        assert words in outcome.err
    assert "name a run with that" in cli("train dqn cartpole --init-partial").err


def test_resume_auto_goes_on_with_the_run_of_this_command_or_begins_it(
    cli: Any, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rlplug.train.resuming

    asked: list[Any] = []
    found: list[Any] = [None, "runs/a/b/c"]
    monkeypatch.setattr(
        rlplug.train.resuming,
        "newest_unfinished",
        lambda root, config: asked.append((root, config)) or found.pop(0),
    )
    for _ in range(2):
        assert cli("train dqn cartpole --steps 700 --resume auto --seed 4").code == 0
    assert [(str(root), config.seed) for root, config in asked] == [("runs", 4)] * 2
    assert len(trainer.resolved) == 1
    assert trainer.resumed == [("runs/a/b/c", [])]
