"""What is due between two iterations, told by a tape of what the outputs hear."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from rlplug.config import CheckpointConfig, EvaluateConfig, TrackingConfig
from rlplug.data import EpisodeStats
from rlplug.errors import DivergedError, EnvironmentFaultError, InterruptedRunError
from rlplug.train.supervisor import Periods, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeOutputs:
    def __init__(self) -> None:
        self.tape: list[str] = []
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.saved: list[dict[str, Any]] = []
        self.stop_at: int | None = None
        self.wants_checkpoint: Callable[[float], bool] = lambda _: False
        self.run_dir = Path("runs/x")
        self.saving = SimpleNamespace(last=None, wait=lambda **_: None, end=lambda: None)

    def iteration_ended(self, env_steps: int, updates: int) -> str | None:
        return "enough" if env_steps == self.stop_at else None

    def episode(self, episode: EpisodeStats) -> None:
        self.tape.append(f"episode {episode.episode_return}")

    def report(self, env_steps: int, metrics: dict[str, float]) -> None:
        self.tape.append(f"report {env_steps}")
        self.rows.append((env_steps, metrics))

    def evaluated(self, env_steps: int, updates: int, report: Any) -> bool:
        self.tape.append(f"evaluated {env_steps}: {report.mean_return}")
        return self.wants_checkpoint(report.mean_return)

    def save(self, state: Any, *, env_steps: int, updates: int, mean_return: float | None) -> None:
        self.tape.append(f"saved {env_steps}: {mean_return}")
        self.saved.append(state)
        self.saving.last = Path(f"runs/x/checkpoints/step-{env_steps}")


class World:
    """A run of fakes: `world.to(30)` lets an iteration end at step 30."""

    def __init__(self, *, total: int = 1000, **settings: Any) -> None:
        self.weights = {"layer": torch.ones(2)}
        self.agent_state: dict[str, Any] = {"moments": torch.ones(2), "count": 3}
        self.returns = iter(float(number) for number in range(1000))
        self.fault: Exception | None = None
        self.reads: list[str] = []
        self.outputs = FakeOutputs()
        self.signals = SimpleNamespace(received=None, exit_code=130, name="Ctrl-C")
        self.trainer = SimpleNamespace(num_updates=4, state_dict=lambda: {"updates": 4})
        self.collector = SimpleNamespace(env_steps=0, metrics=dict, state_dict=dict)
        config = SimpleNamespace(
            evaluate=EvaluateConfig(every_env_steps=settings.pop("evaluation", 100)),
            checkpoint=CheckpointConfig(
                every_env_steps=settings.pop("checkpoint", 100), **settings
            ),
            tracking=TrackingConfig(report_every_env_steps=50),
        )
        self.run: Any = SimpleNamespace(
            config=config,
            agent=SimpleNamespace(
                policy_weights=lambda: self.weights,
                state_dict=lambda: self.agent_state,
                metrics=lambda: self.reads.append("agent") or {"learning_rate": 0.5},
            ),
            policy=SimpleNamespace(metrics=lambda: {"epsilon": 0.1}),
            collector=self.collector,
            replay=SimpleNamespace(state_dict=lambda: {"rows": 1}),
            evaluate=self.evaluate,
        )
        self.total = total
        self.supervisor = self.new_supervisor()

    def new_supervisor(self) -> Supervisor:
        signals: Any = self.signals
        outputs: Any = self.outputs
        return Supervisor(self.run, outputs, signals, total_env_steps=self.total)

    def evaluate(self, episodes: int, env_steps: int) -> Any:
        if self.fault:
            raise self.fault
        return SimpleNamespace(mean_return=next(self.returns))

    def to(self, *steps: int) -> list[str]:
        """End an iteration at each of these steps; what the outputs heard."""
        begin = len(self.outputs.tape)
        for step in steps:
            self.collector.env_steps = step
            self.supervisor.iteration_ended(self.trainer)
        return self.outputs.tape[begin:]


def test_periods_are_a_hundredth_and_a_tenth_of_the_run_by_default() -> None:
    config: Any = SimpleNamespace(
        tracking=TrackingConfig(), evaluate=EvaluateConfig(), checkpoint=CheckpointConfig()
    )
    assert Periods.of(config, 50_000) == (500, 5_000, 5_000)
    assert Periods.of(config, 7) == (1, 1, 1)


def test_each_is_due_when_the_step_counter_crosses_a_multiple() -> None:
    world = World(evaluation=100, checkpoint=200, keep_best=False)
    assert world.to(30) == []
    assert world.to(60) == ["report 60"]
    assert world.to(90) == []
    assert world.to(130) == ["report 130", "evaluated 130: 0.0"]
    assert world.to(420) == ["report 420", "evaluated 420: 1.0", "saved 420: 1.0"]
    assert world.to(449) == []
    assert world.to(450) == ["report 450"]


def test_a_checkpoint_without_an_evaluation_at_its_step_claims_no_return() -> None:
    world = World(evaluation=300, checkpoint=100)
    assert world.to(100) == ["report 100", "saved 100: None"]


def test_an_evaluation_that_a_hook_wants_is_saved_when_no_checkpoint_is_due() -> None:
    world = World(evaluation=100, checkpoint=1000)
    world.returns = iter([5.0, 4.0, 5.0, 6.0])
    world.outputs.wants_checkpoint = lambda mean_return: mean_return > 4.5
    heard = world.to(100, 200, 300, 400)
    assert [line for line in heard if line.startswith("saved")] == [
        "saved 100: 5.0",
        "saved 300: 5.0",
        "saved 400: 6.0",
    ]


def test_the_last_iteration_reports_and_leaves_the_rest_to_the_end() -> None:
    world = World(total=120)
    assert world.to(120) == ["report 120"]
    assert world.supervisor.finish(world.trainer).mean_return == 0.0  # type: ignore[arg-type]
    assert world.outputs.tape[-2:] == ["evaluated 120: 0.0", "saved 120: 0.0"]


def test_a_hook_that_stops_the_run_gets_a_report_and_no_evaluation_before_the_final_one() -> None:
    world = World()
    world.outputs.stop_at = 110
    assert world.to(110) == ["report 110"]
    assert world.supervisor.stop_reason == "enough"


def test_metrics_are_averaged_over_the_updates_since_the_last_report() -> None:
    world = World()
    for loss in (1.0, 2.0, 6.0):
        world.supervisor.record({"loss": torch.tensor(loss)})
    world.to(50)
    world.supervisor.record({"loss": torch.tensor(7.0)})
    world.to(100)
    assert [row["loss"] for _, row in world.outputs.rows] == [3.0, 7.0]
    row = world.outputs.rows[1][1]
    assert (row["learning_rate"], row["epsilon"], row["updates"]) == (0.5, 0.1, 4)
    assert row["updates_per_env_step"] == 0.04


def test_nothing_is_read_between_two_reports() -> None:
    class Unreadable:
        device = torch.device("cpu")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    world = World(evaluation=1000, checkpoint=1000)
    world.supervisor.record({"loss": Unreadable()})  # type: ignore[dict-item]
    world.to(10, 20, 49)
    assert world.reads == []


def test_returns_are_averaged_over_the_newest_hundred_episodes() -> None:
    world = World()
    world.to(50)
    assert "episode_return" not in world.outputs.rows[0][1]
    world.supervisor.record_episodes(EpisodeStats(0, float(n), 2 * n, n) for n in range(1, 151))
    world.to(100)
    row = world.outputs.rows[1][1]
    assert (row["episode_return"], row["episode_length"], row["episodes"]) == (100.5, 201.0, 100)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run_at_the_next_report(value: float) -> None:
    world = World()
    world.to(100)
    world.supervisor.record({"loss": torch.tensor(1.0)})
    world.supervisor.record({"loss": torch.tensor(value)})
    with pytest.raises(
        DivergedError,
        match=r"metric 'loss' is not finite after 150 .*good checkpoint: runs/x/.*step-100\. ",
    ):
        world.to(150)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("weights", "weight 'layer'"),
        ("agent", "'networks.1.bias' of the agent"),
        ("metric", "metric 'loss'"),
    ],
)
def test_nothing_with_nan_in_it_is_saved(where: str, name: str) -> None:
    world = World()
    if where == "weights":
        world.weights["layer"] = torch.tensor([1.0, math.inf])
    elif where == "agent":
        world.agent_state["networks"] = [{}, {"bias": torch.tensor([math.nan])}]
    else:
        world.supervisor.record({"loss": torch.tensor(math.nan)})
    with pytest.raises(DivergedError, match=f"{name} is not finite"):
        world.supervisor.save(world.trainer)  # type: ignore[arg-type]
    assert world.outputs.saved == []


def test_an_infinity_in_the_agents_state_may_be_meant() -> None:
    world = World()
    world.agent_state["lowest"] = -math.inf
    world.agent_state["range"] = torch.tensor([-math.inf, math.inf])
    world.supervisor.save(world.trainer)  # type: ignore[arg-type]
    assert len(world.outputs.saved) == 1


def test_a_signal_saves_once_what_was_evaluated_and_stops() -> None:
    world = World()
    world.to(40)
    world.signals.received = 2
    with pytest.raises(InterruptedRunError) as caught:
        world.to(200)
    assert world.outputs.tape == ["report 200", "evaluated 200: 0.0", "saved 200: 0.0"]
    assert caught.value.exit_code == 130
    assert str(caught.value) == (
        "Stopped by Ctrl-C after 200 environment steps; saved as runs/x/checkpoints/step-200 "
        "(resume: rlplug train --resume runs/x)"
    )


def test_a_signal_where_no_checkpoints_are_wanted_says_so() -> None:
    world = World(enabled=False)
    world.signals.received = 15
    with pytest.raises(InterruptedRunError, match=r"steps; nothing is saved: checkpoint\.enabled"):
        world.to(40)


def test_a_signal_in_the_last_iteration_lets_the_run_end() -> None:
    world = World(total=200)
    world.signals.received = 15
    world.to(200)
    world.supervisor.finish(world.trainer)  # type: ignore[arg-type]
    assert world.outputs.tape[-1] == "saved 200: 0.0"


def test_a_fault_in_an_evaluation_saves_the_training_before_it() -> None:
    world = World()
    world.fault = EnvironmentFaultError("broken")
    with pytest.raises(EnvironmentFaultError):
        world.to(100)
    assert world.outputs.tape == ["report 100", "saved 100: None"]


def test_the_replay_is_saved_unless_the_config_leaves_it_out() -> None:
    for save_replay in (True, False):
        world = World(save_replay=save_replay)
        world.supervisor.save(world.trainer)  # type: ignore[arg-type]
        (state,) = world.outputs.saved
        assert ("replay" in state) is save_replay
        assert state.keys() >= {"policy_weights", "agent", "collector", "trainer", "supervisor"}


@pytest.mark.parametrize("broken_at", [60, 130, 249])
def test_a_resumed_run_keeps_the_schedule_and_the_averages(broken_at: int) -> None:
    steps = [*range(13, 500, 13)]

    def live(world: World, upto: int, begin: int = 0) -> None:
        for step in (one for one in steps if begin < one <= upto):
            world.supervisor.record({"loss": torch.tensor(float(step))})
            world.supervisor.record_episodes([EpisodeStats(0, float(step % 7), 5, step)])
            world.to(step)

    unbroken, world = World(), World()
    live(unbroken, 500)
    live(world, broken_at)
    state = world.supervisor.state_dict()
    world.supervisor = world.new_supervisor()
    world.supervisor.load_state_dict(state)
    live(world, 500, broken_at)
    assert world.outputs.tape == unbroken.outputs.tape
    times = {"steps_per_second", "training_seconds"}
    rows = [
        [(step, {k: v for k, v in row.items() if k not in times}) for step, row in one.outputs.rows]
        for one in (world, unbroken)
    ]
    assert rows[0] == rows[1]


def test_only_training_counts_as_training_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("rlplug.train.supervisor.time.perf_counter", lambda: now[0])
    world = World()

    def slow_evaluation(episodes: int, env_steps: int) -> Any:
        now[0] += 100.0
        return SimpleNamespace(mean_return=1.0)

    world.run.evaluate = slow_evaluation
    now[0] += 50.0
    world.supervisor.start(world.trainer)  # type: ignore[arg-type]
    for step in (100, 200):
        now[0] += 2.0
        world.to(step)
    assert world.supervisor.training_seconds == 4.0
    assert [row["steps_per_second"] for _, row in world.outputs.rows] == [50.0, 50.0]
