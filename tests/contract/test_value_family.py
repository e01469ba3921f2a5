"""What every registered member of the value family holds to, and where the rest is proven.

Faults that earlier systems had, and the test that asserts the right behaviour:

| fault | test |
| --- | --- |
| importance weights broadcast to `[B, B]` | unit/algorithms/dqn/test_agent.py::test_importance_weights_act_sample_by_sample |
| columns that would broadcast reach a loss | unit/algorithms/dqn/test_heads.py::test_columns_that_would_broadcast_are_refused |
| categorical projection loses mass on whole atoms | property/test_value_losses_properties.py::test_projection_keeps_all_mass_that_lands_on_an_atom |
| a terminal reward of 0 gives an empty target | unit/algorithms/dqn/test_heads.py::test_terminal_reward_of_zero_is_certain_in_the_default_support |
| n-step windows cross a truncation | contract/test_value_family_truths.py::test_windows_never_cross_a_truncation |
| a truncation inside the window counts as a termination | unit/replay/test_n_step.py::test_truncated_window_is_short_and_bootstraps_from_the_final_observation |
| truncated transitions are dropped, or bootstrap from the reset | contract/test_value_family_truths.py::test_constant_reward_is_worth_its_endless_sum_when_truncated |
| γ instead of γⁿ at the bootstrap | unit/replay/test_n_step.py::test_window_of_three_bootstraps_with_gamma_cubed |
| n-step returns are not discounted | contract/test_value_family_truths.py::test_constant_reward_is_worth_its_finite_sum_when_terminated |
| Munchausen's log-policy from the online network | unit/algorithms/dqn/test_bootstrap.py::test_munchausen_asks_the_target_network_and_never_the_online_one |
| noise shared over a batch | unit/nn/test_noisy.py::test_each_sample_has_its_own_noise |
| noise shared by both networks, or kept for the next update | contract/test_value_family.py::test_every_update_draws_new_noise_for_each_sample_and_network |
| "factorised" noise that is independent | unit/nn/test_noisy.py::test_factorised_noise_is_an_outer_product |
| one coin decides exploration for all environments | unit/algorithms/dqn/test_policy.py::test_each_environment_draws_its_own_coin |
| epsilon never decays when the warm-up outlasts its schedule | contract/test_value_family.py::test_epsilon_has_decayed_when_the_warm_up_outlasts_its_schedule |
| noisy agents stay random in workers | unit/algorithms/dqn/test_policy.py::test_noisy_exploration_never_stays_random_in_a_worker |
| target networks differ at the start | contract/test_value_family.py::test_target_network_equals_the_online_one_at_the_start |
| priorities without a floor | unit/replay/test_samplers.py::test_priority_is_its_magnitude_and_the_floor_to_the_exponent |
| priorities given by the actor lack the exponent | unit/replay/test_samplers.py::test_priorities_from_the_policy_are_used_for_new_transitions |
| new transitions get a fixed priority | unit/replay/test_samplers.py::test_new_transitions_get_the_highest_priority_so_far |
| the importance exponent is annealed twice | unit/replay/test_samplers.py::test_importance_exponent_follows_its_schedule |
| settings that an algorithm ignores | contract/test_value_family_fields.py::test_each_setting_changes_what_it_should |
| fewer updates the more environments there are | unit/train/test_off_policy.py::test_updates_made_follow_from_the_step_count_alone |
| saved agents that cannot be loaded; replay, generators and counters left out | contract/test_value_family.py::test_half_a_run_and_a_resumed_half_are_the_whole_run |
| scaling an image writes into the caller's buffer | unit/nn/test_encoders.py::test_encoding_leaves_the_observation_as_it_was |
| risk-averse acting leaks into targets | contract/test_value_family.py::test_risk_level_changes_acting_and_no_target |
"""  # noqa: E501 - one row a fault

from __future__ import annotations

import copy
import json
import pickle
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from value_family_world import (
    SHORT,
    Dot,
    Run,
    clock_and_parity,
    differences,
    flat,
    members,
    resolved,
    short,
)

from rlplug.algorithms.dqn.policy import DqnPolicy
from rlplug.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from rlplug.cli.main import run as run_command
from rlplug.config import LinearSchedule
from rlplug.nn.noisy import NoisyLinear
from rlplug.protocols import PolicyContext
from rlplug.resolve import flatten, resolve, to_yaml
from rlplug.seeding import Seeds

if TYPE_CHECKING:
    from rlplug.data import TransitionBatch

TESTS = Path(__file__).parents[1]
AGENTS: dict[str, Any] = {name: resolved(name).config.agent for name in members()}
every_member = pytest.mark.parametrize("name", members())
every_noisy_member = pytest.mark.parametrize(
    "name", [name for name, agent in AGENTS.items() if agent.network.noisy is not None]
)
every_implicit_member = pytest.mark.parametrize(
    "name", [name for name, agent in AGENTS.items() if agent.head.kind == "implicit-quantile"]
)

QUANTILE_ADAM = {"agent.optimizer.learning_rate": 5e-5, "agent.optimizer.arguments.eps": 0.01 / 32}
IQN_HEAD = {
    "agent.head.kind": "implicit-quantile",
    "agent.head.num_samples": 64,
    "agent.head.num_target_samples": 64,
    "agent.head.num_acting_samples": 32,
    "agent.head.num_cosines": 64,
    "agent.head.huber_threshold": 1.0,
    "agent.head.risk_level": 1.0,
}
C51_HEAD = {
    "agent.head.kind": "categorical",
    "agent.head.num_atoms": 51,
    "agent.head.min_return": -10.0,
    "agent.head.max_return": 10.0,
}
MUNCHAUSEN = {
    "agent.bootstrap.kind": "munchausen",
    "agent.bootstrap.scale": 0.9,
    "agent.bootstrap.temperature": 0.03,
    "agent.bootstrap.floor": -1.0,
    "replay.n_step": 1,
}
BETA = {
    f"replay.sampler.importance_exponent.{key}": value
    for key, value in LinearSchedule(start=0.4, end=1.0).model_dump().items()
}
RAINBOW = {
    "agent.bootstrap.kind": "double",
    "agent.exploration.kind": "noisy",
    "agent.exploration.evaluation_epsilon": 0.0,
    "agent.network.dueling": True,
    "agent.network.noisy.kind": "factorised",
    "agent.network.noisy.initial_sigma": 0.5,
    "agent.optimizer.name": "adam",
    "agent.optimizer.learning_rate": 6.25e-5,
    "agent.optimizer.arguments.eps": 1.5e-4,
    "replay.n_step": 3,
    "replay.sampler.kind": "prioritized",
    "replay.sampler.priority_exponent": 0.5,
    **BETA,
}
PAPER_SETTINGS: dict[str, dict[str, Any]] = {
    # Mnih et al. 2015, Methods: the error term is clipped to ±1, γ is 0.99.
    "dqn": {
        "agent.head.kind": "scalar",
        "agent.head.huber_threshold": 1.0,
        "agent.bootstrap.kind": "max",
        "agent.exploration.kind": "epsilon",
        "agent.exploration.epsilon.start": 1.0,
        "agent.network.dueling": False,
        "agent.target_update_rate": 1.0,
        "replay.gamma": 0.99,
        "replay.n_step": 1,
        "replay.sampler.kind": "uniform",
    },
    # van Hasselt et al. 2016: DQN but for the target.
    "double-dqn": {"agent.bootstrap.kind": "double", "agent.head.kind": "scalar"},
    # Wang et al. 2016, section 4.2.
    "dueling-dqn": {
        "agent.bootstrap.kind": "double",
        "agent.network.dueling": True,
        "agent.optimizer.max_gradient_norm": 10.0,
    },
    # Hessel et al. 2018, table 1, multi-step returns n.
    "n-step-dqn": {"replay.n_step": 3, "agent.bootstrap.kind": "max"},
    # Schaul et al. 2016, section 4, proportional: α 0.6, β 0.4 to 1, over double DQN.
    "per-dqn": {
        "agent.bootstrap.kind": "double",
        "replay.sampler.kind": "prioritized",
        "replay.sampler.priority_exponent": 0.6,
        "replay.sampler.uniform_mix": 0.0,
        **BETA,
    },
    # Fortunato et al. 2018, section 3.2: factorised, σ₀ 0.5 (None), no ε.
    "noisy-dqn": {
        "agent.exploration.kind": "noisy",
        "agent.network.noisy.kind": "factorised",
        "agent.network.noisy.initial_sigma": None,
        "agent.network.dueling": False,
        "agent.bootstrap.kind": "max",
    },
    # Bellemare et al. 2017, section 5 and appendix.
    "c51": C51_HEAD
    | {"agent.optimizer.learning_rate": 2.5e-4, "agent.optimizer.arguments.eps": 0.01 / 32},
    # Dabney et al. 2018a, section 5.
    "qr-dqn": QUANTILE_ADAM
    | {
        "agent.head.kind": "quantile",
        "agent.head.num_quantiles": 200,
        "agent.head.huber_threshold": 1.0,
    },
    # Dabney et al. 2018b: 64 cosines, K = 32; N = N' = 64 as in Dopamine's settings for the paper.
    "iqn": QUANTILE_ADAM | IQN_HEAD | {"agent.bootstrap.kind": "max"},
    # Vieillard et al. 2020, section 4 and its table of hyperparameters.
    "m-dqn": QUANTILE_ADAM | MUNCHAUSEN | {"agent.head.kind": "scalar"},
    "m-iqn": QUANTILE_ADAM | MUNCHAUSEN | IQN_HEAD,
    # Hessel et al. 2018, table 1.
    "rainbow": RAINBOW | C51_HEAD,
    # Toromanoff et al. 2019: Rainbow's settings over IQN's head.
    "rainbow-iqn": RAINBOW | IQN_HEAD,
    # Horgan et al. 2018, section 4.1 and appendix: double, dueling, n = 3, ε 0.4 and α 7.
    "ape-x": {
        "agent.bootstrap.kind": "double",
        "agent.exploration.epsilon.value": 0.4,
        "agent.exploration.ladder_exponent": 7.0,
        "agent.network.dueling": True,
        "agent.optimizer.name": "rmsprop",
        "agent.optimizer.learning_rate": 2.5e-4 / 4,
        "agent.optimizer.arguments.alpha": 0.95,
        "agent.optimizer.arguments.eps": 1.5e-7,
        "agent.optimizer.arguments.centered": True,
        "agent.optimizer.max_gradient_norm": 40.0,
        "replay.n_step": 3,
        "replay.sampler.kind": "prioritized",
        "replay.sampler.new_priority": "policy",
        "replay.sampler.priority_exponent": 0.6,
        "replay.sampler.importance_exponent.value": 0.4,
    },
}


def test_every_test_named_above_is_there() -> None:
    rows = re.findall(r"(\S+\.py)::(\w+) \|$", __doc__ or "", re.MULTILINE)
    assert len(rows) == (__doc__ or "").count("\n| ") - 2
    for file, test in rows:
        assert f"def {test}(" in (TESTS / file).read_text(encoding="utf-8"), f"{file}::{test}"


@every_member
def test_defaults_are_the_papers(name: str) -> None:
    config = dict(flatten(resolved(name).config.model_dump()))
    expected = PAPER_SETTINGS[name]
    assert {key: config[key] for key in expected} == expected


@every_member
def test_a_config_survives_yaml_json_and_python(name: str, tmp_path: Path) -> None:
    config = resolved(name, short(name)).config
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config), encoding="utf-8")
    assert resolve(None, None, config=file).config == config
    file.write_text(config.model_dump_json(), encoding="utf-8")  # JSON is YAML
    assert resolve(None, None, config=file).config == config
    assert json.loads(config.model_dump_json()) == config.model_dump(mode="json")
    for section in (config.agent, config.replay, config.train):
        assert type(section).model_validate(section.model_dump()) == section  # type: ignore[union-attr]


@pytest.mark.parametrize("environment", ["cartpole", Dot, clock_and_parity])
@every_member
def test_it_trains_on_vectors_images_and_dicts(name: str, environment: Any, tmp_path: Path) -> None:
    settings = short(name) | {"train.steps": 300 if environment == "cartpole" else 64}
    run = Run(resolved(name, settings, environment=environment), tmp_path)
    before = flat(run.agent.online)
    run.train()
    assert run.trainer.num_updates == (settings["train.steps"] - 16) // 2
    assert np.isfinite(run.onlooker.losses).all()
    trace = run.trace()
    assert np.isfinite(trace["weights"]).all()
    assert (trace["weights"] != before).mean() > 0.2  # some units of so small a network are dead
    assert len(trace["actions"]) == settings["train.steps"]
    actions = range(run.spaces[1].n)
    assert {*trace["actions"], *trace["greedy actions"]} <= {*actions}
    frames = [column.frames is not None for column in run.replay.storage._columns.observations()]
    assert any(frames) == (environment is Dot)


@every_member
def test_target_network_equals_the_online_one_at_the_start(name: str, tmp_path: Path) -> None:
    agent = Run(resolved(name, short(name)), tmp_path).agent
    assert differences(dict(agent.online.state_dict()), dict(agent.target.state_dict())) == []


@every_member
def test_the_seed_alone_decides_a_run_and_no_global_generator_is_touched(
    name: str, tmp_path: Path
) -> None:
    def global_states() -> list[Any]:
        return [torch.get_rng_state(), np.random.get_state(), random.getstate()]  # noqa: NPY002

    before = global_states()
    settings = resolved(name, short(name))
    first = Run(settings, tmp_path).train().state()
    assert differences(before, global_states()) == []
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    random.seed(99)
    assert differences(first, Run(settings, tmp_path).train().state()) == []
    other = Run(resolved(name, short(name) | {"seed": 1}), tmp_path).train().state()
    assert differences(first["agent"]["online"], other["agent"]["online"])


@every_member
def test_half_a_run_and_a_resumed_half_are_the_whole_run(name: str, tmp_path: Path) -> None:
    settings = short(name) | {"train.steps": 96}
    whole = Run(resolved(name, settings), tmp_path).train()
    half = Run(resolved(name, settings), tmp_path, stop_at=48).train()
    assert half.collector.env_steps == 48
    saved = save_checkpoint(tmp_path, half.state(), info=CheckpointInfo(env_steps=48))
    resumed = Run(
        resolved(name, settings | {"seed": 7}), tmp_path
    )  # the seed of nothing that is left
    resumed.load(load_checkpoint(saved).state)
    assert differences(half.state(), resumed.state()) == []
    assert len(resumed.collector.restarted) == 0
    ended = [run.state() for run in (whole, resumed.train())]
    places = {"replay.storage.final", "replay.storage.columns.final"}  # in another order
    assert {*differences(*ended)} <= places
    batches = [list(run.replay.minibatches(20, 32)) for run in (whole, resumed)]
    assert differences(*batches) == []


@every_member
def test_everything_that_an_update_changes_is_in_the_state(name: str, tmp_path: Path) -> None:
    run = Run(resolved(name, short(name)), tmp_path)
    start = load_checkpoint(
        save_checkpoint(tmp_path, run.state(), info=CheckpointInfo(env_steps=0))
    ).state
    changed = differences(start["agent"], run.train().state()["agent"])
    assert any(path.startswith("structure") for path in changed)  # moments appear
    start["agent"]["optimizer"]["moments"] = run.state()["agent"]["optimizer"]["moments"]
    changed = differences(start["agent"], run.state()["agent"])
    parts = {path.split(".")[0] for path in changed}
    draws = {
        "noise_generator": run.agent.config.network.noisy is not None,
        "fraction_generator": run.agent.config.head.kind == "implicit-quantile",
    }
    expected = {"online", "target", "num_updates"} | {name for name, used in draws.items() if used}
    assert parts == expected


@every_member
def test_a_policy_travels_to_another_process(name: str, tmp_path: Path) -> None:
    run = Run(resolved(name, short(name)), tmp_path).train()
    context = PolicyContext(*run.spaces, np.arange(3), 3, 64, Seeds(5))
    config, context, weights = pickle.loads(
        pickle.dumps((run.agent.config, context, run.agent.policy_weights()))
    )
    far = DqnPolicy(config, context)
    far.set_weights(weights)
    far.set_progress(64)
    near = run.policy(3, seed=5)
    near.set_progress(64)
    twin = pickle.loads(pickle.dumps(near))
    rng = np.random.default_rng(0)
    for mode in ("explore", "sample", "greedy"):
        for _ in range(5):
            observation = rng.normal(size=(3, 4)).astype(np.float32)
            actions = [p.act(observation, None, mode=mode).action for p in (near, far, twin)]
            np.testing.assert_array_equal(actions[0], actions[1])
            np.testing.assert_array_equal(actions[0], actions[2])


@every_noisy_member
def test_every_update_draws_new_noise_for_each_sample_and_network(
    name: str, tmp_path: Path
) -> None:
    run = Run(resolved(name, short(name)), tmp_path).train()
    (batch,) = run.replay.minibatches(1, 8)
    drawn: list[torch.Tensor] = []
    for _ in range(2):
        run.agent.update(batch)
        for network in (run.agent.online, run.agent.target):
            layers = [layer for layer in network.modules() if isinstance(layer, NoisyLinear)]
            parts = [part for layer in layers for part in layer._noise]  # type: ignore[union-attr]
            drawn.append(torch.cat(parts, dim=1))
    rows = torch.cat(drawn)
    assert len(np.unique(rows, axis=0)) == 2 * 2 * 8


def test_epsilon_has_decayed_when_the_warm_up_outlasts_its_schedule(tmp_path: Path) -> None:
    schedule = {"kind": "linear", "start": 1.0, "end": 0.0, "env_steps": 20}
    settings = SHORT | {
        "agent.exploration.epsilon": schedule,
        "train.warmup_env_steps": 40,
        "train.collect_env_steps": 2,
    }
    run = Run(resolved("dqn", settings), tmp_path)
    seen = []
    act = run.parts.policy.act

    def noting(*arguments: Any, **keywords: Any) -> Any:
        seen.append(run.parts.policy.metrics()["epsilon"])
        return act(*arguments, **keywords)

    run.parts.policy.act = noting  # type: ignore[method-assign]
    run.train()
    expected = [max(0.0, 1 - step / 20) for step in range(0, 64, 2)]
    assert seen == pytest.approx(expected)
    assert run.onlooker.updates_at[0] > 40


@every_implicit_member
def test_risk_level_changes_acting_and_no_target(name: str, tmp_path: Path) -> None:
    runs = [
        Run(resolved(name, short(name) | {"agent.head.risk_level": level}), tmp_path)
        for level in (1.0, 0.1)
    ]
    batches = list(runs[0].train().replay.minibatches(20, 16))
    runs[1].agent.load_state_dict(copy.deepcopy(runs[0].agent.state_dict()))
    for run in runs:
        for batch in batches:
            run.agent.update(batch)
    states = [run.agent.state_dict() for run in runs]
    assert differences(*states) == []
    values = [run.trace()["acting values"] for run in runs]
    assert not np.allclose(*values)


def batch_of(run: Run) -> TransitionBatch:
    (batch,) = run.replay.minibatches(1, 8)
    return batch  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dqn --agent.head c51 --agent.bootstrap munchausen", ["'categorical'", "'munchausen'"]),
        ("c51 --agent.bootstrap munchausen", ["'categorical'", "'quantile'"]),
        ("m-dqn --replay.n_step 3", ["replay.n_step is 3", "'munchausen'", "to 1"]),
        ("dqn --agent.exploration noisy", ["'noisy'", "network.noisy"]),
    ],
)
def test_a_mix_without_a_meaning_is_refused_in_one_sentence(
    line: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    name, *options = line.split()
    assert run_command(["train", name, "cartpole", *options]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert all(word in error for word in words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"agent.exploration": "noisy", "agent.network.noisy.kind": "factorised"},
        {"agent.head": "quantile", "agent.bootstrap": "munchausen"},
        {"agent.head": "iqn", "agent.bootstrap": "munchausen", "replay.sampler": "prioritized"},
        {"agent.head": "c51", "agent.bootstrap": "double", "agent.exploration.ladder_exponent": 7},
    ],
)
def test_any_other_mix_is_a_config_away(settings: dict[str, Any], tmp_path: Path) -> None:
    run = Run(resolved("dqn", SHORT | settings), tmp_path).train()
    assert np.isfinite(run.onlooker.losses).all()


@pytest.mark.parametrize("kind", ["factorised", "independent"])
def test_noisy_layers_without_exploration_by_noise_act_on_their_means(
    kind: str, tmp_path: Path
) -> None:
    settings = SHORT | {
        "agent.network.noisy": {"kind": kind, "initial_sigma": 5.0},
        "agent.exploration.epsilon": 0.0,
    }
    run = Run(resolved("dqn", settings), tmp_path).train()
    policy = run.parts.policy
    observation = np.full((40, 4), 0.1, np.float32)
    for _ in range(3):
        run.agent.update(batch_of(run))  # leaves noise for eight samples in the shared network
        assert len({*policy.act(observation, None, mode="explore").action}) == 1
