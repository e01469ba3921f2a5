from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from rlplug.errors import ConfigError
from rlplug.nn.adam import FusedAdam
from rlplug.nn.config import OptimizerConfig
from rlplug.nn.optimizer import build_optimizer


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))


def build(net, **settings):
    return build_optimizer(OptimizerConfig(**settings), net.parameters(), total_env_steps=100)


def loss_of(net, step):
    features = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
    return (net(features) - features[:, :2]).square().mean()


def weights(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


@pytest.mark.parametrize(
    ("name", "cls", "arguments"),
    [
        ("adam", torch.optim.Adam, {"betas": [0.8, 0.9], "eps": 1e-3}),
        ("AdamW", torch.optim.AdamW, {"weight_decay": 0.1}),
        ("rmsprop", torch.optim.RMSprop, {"alpha": 0.95, "centered": True}),
        ("SGD", torch.optim.SGD, {"momentum": 0.9}),
        ("nadam", torch.optim.NAdam, {}),
    ],
)
def test_step_is_torchs_own(name, cls, arguments):
    ours, theirs = network(), network()
    optimizer = build(ours, name=name, learning_rate=0.01, arguments=arguments)
    reference = cls(theirs.parameters(), lr=0.01, **arguments)
    for step in range(5):
        optimizer.step(loss_of(ours, step))
        reference.zero_grad()
        loss_of(theirs, step).backward()
        reference.step()
    torch.testing.assert_close(weights(ours), weights(theirs))


@pytest.mark.parametrize("name", ["sgd", "adagrad"])
def test_fused_implementation_is_chosen_where_there_is_one(name):
    assert build(network(), name=name)._inner.defaults["fused"] is True


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_steps_by_the_fused_kernel_itself(name):
    assert isinstance(build(network(), name=name)._inner, FusedAdam)
    assert not isinstance(
        build(network(), name=name, arguments={"amsgrad": True})._inner, FusedAdam
    )


def test_user_chooses_the_implementation():
    assert build(network(), arguments={"foreach": True})._inner.defaults["fused"] is None
    assert build(network(), arguments={"fused": False})._inner.defaults["fused"] is False


def test_unknown_name_gets_the_nearest():
    with pytest.raises(
        ConfigError, match=r"Unknown optimizer 'rmsprob'\. Did you mean 'rmsprop'\?"
    ):
        build(network(), name="rmsprob")


@pytest.mark.parametrize("name", ["lbfgs", "sparseadam", "optimizer", "lr_scheduler"])
def test_what_cannot_step_on_a_gradient_is_unknown(name):
    with pytest.raises(ConfigError, match="Unknown optimizer"):
        build(network(), name=name)


def test_unknown_argument_gets_the_nearest():
    with pytest.raises(ConfigError, match=r"Adam takes no 'beta'\. Did you mean 'betas'\?"):
        build(network(), arguments={"beta": [0.9, 0.99]})


@pytest.mark.parametrize("name", ["lr", "params"])
def test_arguments_that_the_config_gives_itself_are_refused(name):
    with pytest.raises(ConfigError, match=f"takes no '{name}'"):
        build(network(), arguments={name: 0.1})


def test_learning_rate_among_the_arguments_is_sent_to_its_own_field():
    with pytest.raises(ConfigError, match=r"Set optimizer\.learning_rate"):
        build(network(), arguments={"lr": 0.1})


@pytest.mark.parametrize("arguments", [{"betas": [2.0, 0.9]}, {"betas": 0.9}, {"eps": "small"}])
def test_bad_value_of_an_argument_is_a_config_error_that_names_it(arguments):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        build(network(), arguments=arguments)


def test_decay_moves_the_learning_rate_of_the_next_step():
    net = network()
    optimizer = build(net, name="sgd", learning_rate=1.0, decay="linear", final_fraction=0.2)
    rates = []
    for env_steps in (0, 50, 100, 150):
        optimizer.set_progress(env_steps)
        before = weights(net)
        optimizer.step(weights_sum(net))
        rates.append((before - weights(net)).mean().item())
        assert rates[-1] == pytest.approx(optimizer.learning_rate, rel=1e-5)
    assert rates == pytest.approx([1.0, 0.6, 0.2, 0.2], rel=1e-5)


def weights_sum(net):
    """A loss whose gradient is 1 everywhere."""
    return sum(parameter.sum() for parameter in net.parameters())


def test_gradient_is_clipped_by_its_global_norm_and_the_norm_before_is_reported():
    net = network()
    count = len(weights(net))
    optimizer = build(net, name="sgd", learning_rate=1.0, max_gradient_norm=0.5)
    before = weights(net)
    optimizer.step(weights_sum(net))
    step = before - weights(net)
    assert step.norm().item() == pytest.approx(0.5, rel=1e-5)
    assert step.std().item() == pytest.approx(0.0, abs=1e-6)  # the direction is kept
    assert optimizer.gradient_norm() == pytest.approx(math.sqrt(count), rel=1e-5)


def test_gradient_below_the_threshold_is_left_alone():
    clipped, free = network(), network()
    build(clipped, name="sgd", max_gradient_norm=1e6).step(loss_of(clipped, 0))
    build(free, name="sgd").step(loss_of(free, 0))
    assert torch.equal(weights(clipped), weights(free))


def test_gradient_norm_without_clipping_is_that_of_the_last_step():
    net = network()
    optimizer = build(net)
    assert optimizer.gradient_norm() == 0.0
    optimizer.step(loss_of(net, 0))
    optimizer.step(weights_sum(net))
    assert optimizer.gradient_norm() == pytest.approx(math.sqrt(len(weights(net))), rel=1e-5)


def test_gradients_do_not_add_up_over_steps():
    net = network()
    optimizer = build(net, name="sgd", learning_rate=1e-9)
    for _ in range(3):
        optimizer.step(weights_sum(net))
    assert all((parameter.grad == 1).all() for parameter in net.parameters())


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd", "nadam", "adagrad", "radam"])
def test_saved_and_loaded_optimizer_continues_bit_for_bit(name):
    net = network()
    settings = {"name": name, "decay": "cosine", "learning_rate": 0.01}
    if name == "sgd":
        settings["arguments"] = {"momentum": 0.9}
    optimizer = build(net, **settings)
    for step in range(4):
        optimizer.set_progress(10 * step)
        optimizer.step(loss_of(net, step))
    twin = network(1)
    twin.load_state_dict(net.state_dict())
    resumed = build(twin, **settings)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert resumed.learning_rate == optimizer.learning_rate
    for step in range(4, 8):
        for one, its_optimizer in ((net, optimizer), (twin, resumed)):
            its_optimizer.step(loss_of(one, step))
            its_optimizer.set_progress(10 * step)
    assert torch.equal(weights(net), weights(twin))


def test_state_has_string_keys_and_plain_leaves():
    net = network()
    optimizer = build(net)
    optimizer.step(loss_of(net, 0))

    def check(state):
        if isinstance(state, dict):
            assert all(isinstance(key, str) for key in state)
            for part in state.values():
                check(part)
        else:
            assert isinstance(state, torch.Tensor | float | int | str | None)

    check(optimizer.state_dict())
