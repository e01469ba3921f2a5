from __future__ import annotations

import pytest
import torch
from torch import nn

from rlplug.nn import linear as module
from rlplug.nn.linear import Linear, ensemble_linear, gradient_of_weight, linear, linear_relu


@pytest.fixture(params=[0, 10**12], ids=["oneDNN", "common"], autouse=True)
def _path(request, monkeypatch):
    """Each test on either way to multiply, whatever would gain."""
    monkeypatch.setattr(module, "_TAKES_ONEDNN", module._HAS_ONEDNN)
    monkeypatch.setattr(module, "_MIN_PRODUCTS", request.param)


def drawn(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("lead", [(1,), (7,), (64,), (3, 5), (2, 3, 4)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (4, 256), (37, 19)])
def test_product_and_gradients_are_those_of_float64(lead, inputs, outputs):
    leaves = [drawn(*lead, inputs), drawn(outputs, inputs), drawn(outputs)]
    slope = drawn(*lead, outputs)
    single = [leaf.clone().requires_grad_() for leaf in leaves]
    double = [leaf.double().requires_grad_() for leaf in leaves]
    result = linear(*single)
    expected = double[0] @ double[1].T + double[2]
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(result, single, slope)
    for one, its_double in zip(
        gradients, torch.autograd.grad(expected, double, slope.double()), strict=True
    ):
        torch.testing.assert_close(one.double(), its_double, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_relu_after_a_product_is_relu_of_the_product(rows):
    features, weight, bias = drawn(rows, 5), drawn(8, 5), drawn(8)
    with torch.inference_mode():
        expected = linear(features, weight, bias).relu()
        assert torch.equal(linear_relu(features, weight, bias), expected)


@pytest.mark.parametrize("rows", [1, 7, 128])
def test_gradient_of_a_weight_is_the_sum_over_rows(rows):
    slope, features, out = drawn(rows, 8), drawn(rows, 5), torch.full((8, 5), torch.nan)
    gradient_of_weight(slope, features, out=out)
    expected = (slope.double().T @ features.double()).float()
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_ensemble_is_its_members_one_by_one(members):
    features = drawn(members, 9, 5).requires_grad_()
    weight, bias = drawn(members, 5, 8).requires_grad_(), drawn(members, 1, 8).requires_grad_()
    slope = drawn(members, 9, 8)
    result = ensemble_linear(features, weight, bias)
    one_by_one = torch.stack([x @ w + b for x, w, b in zip(features, weight, bias, strict=True)])
    torch.testing.assert_close(result, one_by_one)
    leaves = (features, weight, bias)
    for one, other in zip(
        torch.autograd.grad(result, leaves, slope),
        torch.autograd.grad(one_by_one, leaves, slope),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_views_with_strides_of_their_own_are_multiplied_as_they_are():
    shared = drawn(6, 5).requires_grad_()
    weight, bias = drawn(2, 5, 8).requires_grad_(), drawn(2, 1, 8).requires_grad_()
    ensemble_linear(shared.expand(2, 6, 5), weight, bias).sum().backward()  # a slope of stride 0
    expected = weight.detach().sum((0, 2)).expand(6, 5)  # ∂ Σ / ∂x, the same for every row
    torch.testing.assert_close(shared.grad, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(bias.grad, torch.full_like(bias, 6.0))
    columns = drawn(5, 6)
    torch.testing.assert_close(
        linear(columns.t(), weight[0].t(), None), columns.t() @ weight[0], rtol=1e-5, atol=1e-5
    )


def test_nothing_is_differentiated_that_asks_for_none():
    features, weight = drawn(6, 5), drawn(8, 5).requires_grad_()
    with torch.no_grad():
        assert not linear(features, weight, None).requires_grad
    frozen = linear(features.requires_grad_(), weight.detach(), drawn(8))
    frozen.sum().backward()
    assert features.grad is not None
    assert weight.grad is None


def test_layer_has_the_weights_and_names_of_torchs_own():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        ours = Linear(5, 8)
        torch.manual_seed(3)
        theirs = nn.Linear(5, 8)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert torch.equal(ours.weight, theirs.weight)
    features = drawn(6, 5)
    torch.testing.assert_close(ours(features), theirs(features))


def test_other_precisions_go_the_common_way():
    weight = drawn(8, 5)
    assert linear(drawn(6, 5).double(), weight.double(), None).dtype is torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(drawn(6, 5), weight, None).dtype is torch.bfloat16


ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel name\t: EPYC\n\n"
ZEN_5 = ZEN_4.replace("25", "26")
INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n\n"


@pytest.mark.parametrize(
    ("cpuinfo", "is_wider"),
    [
        (ZEN_5, True),
        (ZEN_5 + INTEL, True),  # the first processor speaks for all
        (ZEN_4, False),
        (INTEL, False),
        (INTEL.replace("6", "26"), False),
        (ZEN_5.replace("26", "?"), False),
        (ARM, False),
        ("", False),
    ],
)
def test_onednn_is_taken_where_vectors_are_wider_than_mkls(cpuinfo, is_wider, tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    assert module._is_wider_than_mkl(path) is is_wider


def test_a_system_that_says_nothing_of_its_processor_goes_the_common_way(tmp_path):
    assert not module._is_wider_than_mkl(tmp_path / "cpuinfo")
