"""Invertible dense layers and 1x1 convolutions: their matrix, its determinant, its inverse where it hardly is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import inputs, perturb

PLU: Any = import_module("zoo.plugins.flows.bijections.linear").PLU
NAMES = {"dense": (2, 2, 2), "conv1x1": (8, 3, 5)}


def built(name: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return zoo.declare(zoo.Bijection, name)(zoo.Shape(*NAMES[name]))


def plu(size: int, scale: float = 0.3) -> Any:
    torch.manual_seed(size)
    matrix = PLU(size).double()
    perturb(matrix, seed=0, scale=scale)
    return matrix


def columns(name: str, x: Tensor) -> Tensor:
    """The vectors that the matrix mixes, as rows."""
    return x.flatten(1) if name == "dense" else x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


@pytest.mark.parametrize("size", [1, 2, 7, 48])
def test_plu_starts_as_a_rotation_and_knows_its_determinant(size: int) -> None:
    torch.manual_seed(size)
    rotation = PLU(size).double()
    W = rotation.weight()
    assert torch.allclose(W @ W.T, torch.eye(size).double(), atol=1e-5)
    assert abs(rotation.log_det().item()) < 1e-5
    matrix = plu(size)
    assert torch.linalg.slogdet(matrix.weight()).logabsdet.item() == pytest.approx(matrix.log_det().item(), abs=1e-10)
    x = torch.randn(5, size).double()
    assert torch.allclose(matrix(x), x @ matrix.weight().T, atol=1e-10)
    assert torch.allclose(matrix.solve(matrix(x)), x, atol=1e-10)
    assert sum(p.numel() for p in matrix.parameters()) == size**2


def test_plu_moves_rows_too() -> None:
    """The permutation is one: without it W would be triangular factors alone, and the test above would not see it."""
    assert any(PLU(6).order.tolist() != list(range(6)) for _ in range(5))


def test_plu_starts_keep_their_scale_with_size() -> None:
    """Noise of one size on every parameter gives much the same condition, whatever the size."""
    assert max(torch.linalg.cond(plu(size, 0.2).weight()).item() for size in (4, 16, 64, 128)) < 100.0


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_matrices(name: str) -> None:
    one, same, other = (built(name, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["plu.factors"], other["plu.factors"])


@pytest.mark.parametrize("name", NAMES)
def test_they_mix_by_their_matrix(name: str) -> None:
    part = built(name).double()
    x = inputs(part, 3)
    z, log_det = part(x)
    assert torch.allclose(columns(name, z), columns(name, x) @ part.plu.weight().T, atol=1e-12)
    times = 1 if name == "dense" else 15
    assert torch.allclose(log_det, times * part.plu.log_det().expand(3), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("log_s", [-18.0, -60.0, 40.0])
@torch.no_grad()
def test_near_singular_matrices_are_inverted_precisely(name: str, log_s: float) -> None:
    """In float32 the inverse is that of float64, rounded once, though the matrix has a condition above 1e7."""
    part = built(name)
    perturb(part, seed=0, scale=0.3)
    part.plu.factors[3, 3] = log_s
    exact = built(name).double()
    exact.load_state_dict(part.state_dict())
    W = exact.plu.weight()
    z = inputs(part, 4).float()
    x, log_det = part.inverse(z)
    true = exact.inverse(z.double())[0]
    assert x.dtype == log_det.dtype == torch.float32
    assert x.isfinite().all()
    assert torch.equal(x, true.float())
    residual = columns(name, true) @ W.T - columns(name, z.double())
    # The condition is no measure of the residual: that of triangular solves is small whatever it is.
    assert residual.abs().max() <= 1e-13 * (columns(name, true).abs() @ W.abs().T).max()
    assert torch.linalg.cond(W) > 1e7


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_an_inverse_in_float32_would_lose_what_this_one_keeps(name: str) -> None:
    part = built(name)
    perturb(part, seed=0, scale=0.3)
    part.plu.factors[3, 3] = -14.0
    exact = built(name).double()
    exact.load_state_dict(part.state_dict())
    z = inputs(part, 4).float()
    true = exact.inverse(z.double())[0]
    ours = (part.inverse(z)[0] - true).abs().max() / true.abs().max()
    single = torch.linalg.solve(part.plu.weight(), columns(name, z).T).T
    theirs = (single - columns(name, true)).abs().max() / true.abs().max()
    assert ours < 1e-6
    assert theirs > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_nothing_goes_stale_in_training(name: str) -> None:
    part = built(name)
    optimizer = torch.optim.SGD(part.parameters(), lr=0.05)
    for _ in range(3):
        x = inputs(part, 4).float()
        z, log_det = part(x)
        assert torch.allclose(part.inverse(z)[0], x, atol=1e-4)
        optimizer.zero_grad()
        (z[:, 0].square().mean() - log_det.mean()).backward()
        optimizer.step()
    assert abs(log_det.mean().item()) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_gradients_pass_through_the_inverse(name: str) -> None:
    part = built(name).double()
    z = inputs(part, 2)

    def solution(factors: Tensor) -> Any:
        return torch.func.functional_call(Inverse(part), {"part.plu.factors": factors}, (z,))

    class Inverse(nn.Module):
        def __init__(self, part: zoo.Bijection) -> None:
            super().__init__()
            self.part = part

        def forward(self, z: Tensor) -> Any:
            return self.part.inverse(z)

    assert torch.autograd.gradcheck(solution, part.plu.factors.detach().clone().requires_grad_(True), fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_autocast_changes_nothing(name: str) -> None:
    part = built(name)
    x = inputs(part, 3).float()
    plain = [*part(x), *part.inverse(x)]
    with torch.autocast("cpu", torch.bfloat16):
        cast = [*part(x), *part.inverse(x)]
    assert all(torch.equal(a, b) for a, b in zip(plain, cast, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="TF32 is CUDA's")
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_tf32_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    part = built(name).cuda()
    x = inputs(part, 3).float().cuda()
    plain = [*part(x), *part.inverse(x)]
    for products in (torch.backends.cuda.matmul, torch.backends.cudnn):
        monkeypatch.setattr(products, "allow_tf32", True)
    for ours, theirs in zip([*part(x), *part.inverse(x)], plain, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_they_compile_under_autocast_with_gradients(name: str) -> None:
    part = built(name)
    x = inputs(part, 3).float()

    @torch.compile(fullgraph=True, backend="aot_eager")
    def both(x: Tensor) -> Tensor:
        z, there = part(x)
        back, home = part.inverse(z)
        return torch.cat(((back - x).flatten(), there + home))

    with torch.autocast("cpu", torch.bfloat16):
        errors: Any = both(x)
    assert errors.abs().max() < 1e-4
    errors.sum().backward()
    assert part.plu.factors.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_they_are_built_and_run_on_meta(name: str) -> None:
    with torch.device("meta"):
        part = built(name)
        z, log_det = part(torch.zeros(2, *part.shape))
        x, _ = part.inverse(z)
    assert {t.device.type for t in (*part.parameters(), *part.buffers(), z, log_det, x)} == {"meta"}
    assert x.shape == (2, *part.shape)


def test_channels_may_lie_last() -> None:
    part = built("conv1x1")
    x = inputs(part, 3).float()
    for ours, theirs in zip(part(x.to(memory_format=torch.channels_last)), part(x), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_conv1x1_refuses_what_is_no_image() -> None:
    with pytest.raises(zoo.SpecError, match=r"needs an image \[C, H, W\], got 5: use dense"):
        zoo.declare(zoo.Bijection, "conv1x1")(zoo.Shape(5))
