from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rlplug.checkpoint import CheckpointInfo, save_checkpoint
from rlplug.errors import ConfigError, RunFolderError
from rlplug.resolve import resolve
from rlplug.run_folder import RunFolder
from rlplug.train.resuming import newest_unfinished, require_resumable, with_choices

if TYPE_CHECKING:
    from pathlib import Path


def config(**settings: Any) -> Any:
    return resolve("dqn", "cartpole", overrides=settings).config


def a_run(root: Path, state: str = "interrupted", *, steps: int = 5, **settings: Any) -> Path:
    with RunFolder.create(root, config(**settings), command=[], versions={}) as run:
        if steps:
            save_checkpoint(run.checkpoints, {}, info=CheckpointInfo(env_steps=steps))
        run.update(state=state)
        return run.path


def is_refused(names: list[str]) -> bool:
    try:
        require_resumable(names)
    except ConfigError:
        return True
    return False


@pytest.mark.parametrize(
    "name", ["device", "train.steps", "evaluate.episodes", "evaluate", "launch.threads"]
)
def test_what_leaves_the_past_as_it_was_may_change(name: str) -> None:
    assert not is_refused([name])
    assert is_refused([name, "seed"])


@pytest.mark.parametrize(
    "name", ["seed", "train.step", "train.warmup_env_steps", "devices", "launch", "launch.workers"]
)
def test_what_would_make_it_another_run_may_not(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} cannot change when a run goes on"):
        require_resumable(["device", name])


def test_the_newest_run_of_these_settings_that_has_not_finished_is_found(tmp_path: Path) -> None:
    assert newest_unfinished(tmp_path, config()) is None
    a_run(tmp_path)
    newest = a_run(tmp_path)
    a_run(tmp_path, "finished")
    a_run(tmp_path, steps=0)
    a_run(tmp_path, seed=7)
    a_run(tmp_path, **{"agent.batch_size": 3})
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c" / "run.json").write_text("{}")
    assert newest_unfinished(tmp_path, config()) == newest
    (newest / "config.yaml").write_text("agent: [")
    assert newest_unfinished(tmp_path, config()) != newest


def test_what_auto_chose_is_kept_where_the_settings_still_say_auto() -> None:
    chosen = {"device": "cpu", "launch.threads": 3, "launch.gone": 1}
    kept = with_choices(config(), chosen)
    assert (kept.device, kept.launch.threads) == ("cpu", 3)
    asked = with_choices(config(**{"launch.threads": 2, "device": "cuda:1"}), chosen)
    assert (asked.device, asked.launch.threads) == ("cuda:1", 2)


@pytest.mark.parametrize(
    "chosen", [{"device": "abacus"}, {"launch.threads": "many"}, {"launch.threads": -1}]
)
def test_a_choice_that_auto_never_makes_is_refused(chosen: dict[str, Any]) -> None:
    with pytest.raises(RunFolderError, match="which cannot be"):
        with_choices(config(), chosen)


def test_a_choice_of_something_else_means_nothing() -> None:
    assert with_choices(config(), {"nowhere.field": 1, "a.b.c": 1, "seed": 7}) == config()
