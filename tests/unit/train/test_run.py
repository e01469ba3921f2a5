"""The assembly of a run, with every part that trains replaced by a fake."""

from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from rlplug.checkpoint import CheckpointInfo, save_checkpoint
from rlplug.errors import (
    CheckpointError,
    ConfigError,
    DivergedError,
    EnvironmentFaultError,
    InterruptedRunError,
    PluginError,
    RunFolderError,
)
from rlplug.evaluate import EvaluationReport
from rlplug.registry import discovery
from rlplug.resolve import resolve
from rlplug.run_folder import RunFolder
from rlplug.train import run as run_module
from rlplug.train.context import RunContext
from rlplug.train.run import resume, train

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = {
    "tracking": {"console": "plain", "tensorboard": False},
    "evaluate": {"every_env_steps": 20},
    "checkpoint": {"every_env_steps": 20, "keep_best": False},
    "launch": {"threads": 1},
}


class FakeParts:
    """Collector, agent and policy in one: what they do is noted, and `fault` is raised at 35."""

    def __init__(self) -> None:
        self.env_steps = 0
        self.closed = 0
        self.fault: BaseException | None = None
        self.weight = 0.0
        self.restarted = torch.empty(0).numpy()

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"env_steps": self.env_steps, "weight": self.weight}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.env_steps, self.weight = state["env_steps"], state["weight"]

    def policy_weights(self) -> dict[str, Any]:
        return {"weight": torch.tensor(self.weight)}

    def evaluate(self, episodes: int, env_steps: int) -> EvaluationReport:
        return EvaluationReport([float(env_steps)] * episodes, [1] * episodes, 0.0)

    def close(self) -> None:
        self.closed += 1


class FakeTrainer:
    """Iterations of five steps, of which each adds one to the weight."""

    def __init__(self, run: RunContext, supervisor: Any) -> None:
        self.parts: Any = run.collector
        self.total = int(run.config.train.steps)  # type: ignore[attr-defined]
        self.supervisor = supervisor
        self.num_updates = 0
        self.warmed_up_again = False

    def run(self) -> None:
        while self.parts.env_steps < self.total and self.supervisor.stop_reason is None:
            self.parts.env_steps += 5
            self.parts.weight += 1.0
            self.num_updates += 1
            if self.parts.env_steps == 35 and self.parts.fault is not None:
                raise self.parts.fault
            self.supervisor.iteration_ended(self)

    def warm_up_again(self) -> None:
        self.warmed_up_again = True

    def state_dict(self) -> dict[str, Any]:
        return {"num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.num_updates = state["num_updates"]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeParts:
    """What every run here is built of."""
    parts = FakeParts()

    def build(resolved: Any, folder: Path) -> RunContext:
        evaluate: Any = parts.evaluate
        fake: Any = parts
        context = RunContext(resolved.config, fake, fake, fake, None, evaluate)
        monkeypatch.setattr(RunContext, "close", lambda _: parts.close())
        return context

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_module, "build", build)
    monkeypatch.setattr(
        run_module, "discovery", SimpleNamespace(
            provider=discovery.provider, import_string=lambda _: FakeTrainer
        ),
    )  # fmt: skip
    return parts


def start(steps: int = 50, **more: Any) -> Any:
    return train(resolve("dqn", "cartpole", overrides=SETTINGS | more, steps=steps, seed=1))


def only_run() -> RunFolder:
    (record,) = Path().rglob("run.json")
    return RunFolder.open(record.parent)


def test_a_run_ends_with_its_folder_complete_and_its_parts_closed(parts: FakeParts) -> None:
    result = start()
    run = only_run()
    assert (result.run_dir, result.env_steps, result.stopped_by) == (run.path, 50, None)
    assert result.evaluation.mean_return == 50.0
    assert run.record.evaluation == result.evaluation.to_dict()
    assert (run.record.state, run.record.env_steps) == ("finished", 50)
    assert parts.closed == 1
    assert json.loads((run.path / "spaces.json").read_text())["action_space"]["n"] == 2


@pytest.mark.parametrize("error", [EnvironmentFaultError("It broke."), DivergedError("It is NaN.")])
def test_an_error_says_once_where_to_go_on_from_and_the_record_says_it_too(
    parts: FakeParts, error: Exception
) -> None:
    parts.fault, said = error, str(error)
    with pytest.raises(type(error)) as caught:
        start()
    run = only_run()
    last = run.path / "checkpoints" / "step-000000020"
    assert str(caught.value) == (
        f"{said} Last checkpoint: {last} (resume: rlplug train --resume {run.path})"
    )
    assert (run.record.state, run.record.outcome) == ("crashed", str(caught.value))
    assert run.record.env_steps == 20
    assert run.console_log.read_text().splitlines()[-1] == str(caught.value)
    assert parts.closed == 1


def test_an_error_that_names_the_checkpoint_is_left_as_it_is(parts: FakeParts) -> None:
    error = DivergedError()
    parts.fault = error

    class Named(FakeTrainer):
        def run(self) -> None:
            error.args = (f"Last good checkpoint: {self.supervisor.last_checkpoint}.",)
            raise error

    run_module.discovery.import_string = lambda _: Named  # type: ignore[assignment]
    with pytest.raises(DivergedError) as caught:
        start()
    assert str(caught.value).count("checkpoint:") == 1


def test_what_is_no_error_of_ours_keeps_its_type_and_gets_a_note(parts: FakeParts) -> None:
    parts.fault = ZeroDivisionError("division by zero")
    with pytest.raises(ZeroDivisionError) as caught:
        start()
    assert str(caught.value) == "division by zero"
    assert "step-000000020 (resume: rlplug train" in caught.value.__notes__[0]
    record = only_run().record
    assert (record.state, record.outcome) == ("crashed", "ZeroDivisionError: division by zero")


def test_a_part_that_exits_the_process_is_a_fault(parts: FakeParts) -> None:
    parts.fault = SystemExit(0)
    with pytest.raises(PluginError, match=r"sys\.exit\(0\).*step-000000020 \(resume: "):
        start()
    assert only_run().record.state == "crashed"


def test_a_second_ctrl_c_is_an_interrupt_that_names_the_last_checkpoint(parts: FakeParts) -> None:
    parts.fault = KeyboardInterrupt()
    with pytest.raises(InterruptedRunError, match=r"Stopped at once\. Last checkpoint: ") as caught:
        start()
    assert caught.value.exit_code == 130
    assert only_run().record.state == "interrupted"


def test_a_signal_is_saved_and_recorded(parts: FakeParts) -> None:
    parts.metrics = lambda: signal.raise_signal(signal.SIGTERM) or {}  # type: ignore[method-assign]
    with pytest.raises(InterruptedRunError) as caught:
        start()
    run = only_run()
    assert caught.value.exit_code == 143
    assert (run.record.state, run.record.env_steps) == ("interrupted", 5)


def test_a_signal_in_the_final_evaluation_is_told_when_all_is_done(parts: FakeParts) -> None:
    evaluate = parts.evaluate

    def interrupted(episodes: int, env_steps: int) -> EvaluationReport:
        if env_steps == 50:
            signal.raise_signal(signal.SIGINT)
        return evaluate(episodes, env_steps)

    parts.evaluate = interrupted  # type: ignore[method-assign]
    with pytest.raises(InterruptedRunError, match="Ctrl-C came when the run had ended"):
        start()
    assert only_run().record.state == "finished"


def test_a_resumed_run_starts_from_its_newest_checkpoint(
    parts: FakeParts, capsys: pytest.CaptureFixture[str]
) -> None:
    parts.fault = EnvironmentFaultError("It broke.")
    with pytest.raises(EnvironmentFaultError):
        start()
    parts.fault, parts.env_steps, parts.weight = None, 0, 0.0
    result = resume(only_run().path)
    assert (parts.env_steps, parts.weight) == (50, 10.0)
    assert result.env_steps == 50
    assert "resumed at 20 environment steps" in capsys.readouterr().out
    rows = [json.loads(line) for line in only_run().metrics.read_text().splitlines()]
    reports = [row["env_steps"] for row in rows if "updates" in row]
    assert reports == list(range(5, 51, 5))


def test_an_error_before_the_first_checkpoint_of_a_resumed_run_names_the_old_one(
    parts: FakeParts,
) -> None:
    for _ in range(2):
        parts.fault = EnvironmentFaultError("It broke.")
        with pytest.raises(EnvironmentFaultError, match="step-000000020 "):
            resume(only_run().path) if list(Path().rglob("run.json")) else start()


def test_a_finished_run_is_not_resumed_without_more_steps(parts: FakeParts) -> None:
    start()
    path = only_run().path
    with pytest.raises(ConfigError, match=rf"made 50 of 50 .*--resume {path} --steps 100"):
        resume(path)
    assert only_run().record.state == "finished"
    assert resume(path, overrides=[("train.steps", "60")]).env_steps == 60


def test_a_run_without_a_whole_checkpoint_is_not_resumed(parts: FakeParts) -> None:
    start()
    path = only_run().path
    for manifest in path.rglob("manifest.json"):
        manifest.write_text("{}")
    with pytest.raises(CheckpointError, match="no checkpoint that can be read"):
        resume(path)


def test_checkpoints_after_a_damaged_one_s_place_are_discarded(parts: FakeParts) -> None:
    parts.fault = EnvironmentFaultError("It broke.")
    with pytest.raises(EnvironmentFaultError):
        start()
    run = only_run()
    later = save_checkpoint(run.checkpoints, {"agent": {}}, info=CheckpointInfo(env_steps=25))
    (later / "agent.safetensors").write_bytes(b"")
    parts.fault = None
    resume(run.path)
    assert not later.exists()


def test_a_run_in_use_is_not_resumed(parts: FakeParts) -> None:
    start()
    with only_run().lock() as run, pytest.raises(RunFolderError, match="in use"):
        resume(run.path)


def test_a_resumed_run_without_its_replay_warms_up_again(
    parts: FakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    warmed: list[bool] = []
    monkeypatch.setattr(FakeTrainer, "warm_up_again", lambda _: warmed.append(True))
    start()
    build: Callable[..., RunContext] = run_module.build

    def with_replay(resolved: Any, folder: Path) -> RunContext:
        replay: Any = SimpleNamespace(state_dict=dict)
        return dataclasses.replace(build(resolved, folder), replay=replay)

    monkeypatch.setattr(run_module, "build", with_replay)
    resume(only_run().path, overrides=[("train.steps", "60")])
    assert warmed == [True]


def test_a_tracker_that_cannot_start_is_named_and_recorded(
    parts: FakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_account(*_: Any, **__: Any) -> None:
        raise OSError("no account")

    monkeypatch.setattr(discovery, "resolve_tracker", lambda _: no_account)
    with pytest.raises(PluginError, match="'cloud' cannot be started: OSError: no account"):
        start(**{"tracking.trackers": ["cloud"]})
    assert only_run().record.state == "crashed"


def test_settings_that_only_the_parts_can_judge_leave_no_folder(
    parts: FakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ConfigError("replay.capacity is too small.")

    monkeypatch.setattr(run_module, "build", refuse)
    with pytest.raises(ConfigError, match="too small"):
        start()
    assert not [file for file in Path().rglob("*") if file.is_file()]


def test_a_pair_that_does_not_fit_leaves_no_folder(parts: FakeParts) -> None:
    with pytest.raises(ConfigError, match="needs discrete actions"):
        train(resolve("dqn", "pendulum"))
    assert list(Path().iterdir()) == []
