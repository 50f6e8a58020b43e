"""Quantised, plain and classifying encoders."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

Quantizer: Any = import_module("zoo.plugins.vae.quantizers").Quantizer
perplexity: Any = import_module("zoo.plugins.vae.vq_vae").perplexity

IMAGE = zoo.Event("image", zoo.Shape(1, 4, 4), levels=2, classes=3)
CLOCK = zoo.Clock(torch.zeros((), dtype=torch.int64), 10)
PARTS = {"encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}


def quantizer(name: str, shape: zoo.Shape, **values: Any) -> Any:
    torch.manual_seed(0)
    return zoo.declare(Quantizer, {"type": name, "size": 6, **values})(shape)


def vq_vae(name: str = "vq", commitment_weight: float = 0.25, latent: Any = (3, 2, 2), **values: Any) -> Any:
    torch.manual_seed(0)
    codes = {"type": name, "size": 6, **values}
    declared = {"latent": list(latent), "quantizer": codes, "commitment_weight": commitment_weight, **PARTS}
    return zoo.declare(zoo.Model, {"type": "vq_vae", **declared})(IMAGE)


def images(n: int = 5) -> Tensor:
    return torch.randint(2, (n, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


both = pytest.mark.parametrize("name", ["vq", "vq_ema"])


# -- quantizers -------------------------------------------------------------------------------------------------------


@both
def test_each_vector_becomes_the_nearest_code(name: str) -> None:
    part, z = quantizer(name, zoo.Shape(3, 2, 4)), torch.randn(5, 3, 2, 4)
    codebook = part.codebook.detach().clone()
    answer = part(z)
    for b in range(5):
        for i in range(2):
            for j in range(4):
                far = (codebook - z[b, :, i, j]).square().sum(1)
                assert answer.codes[b, i, j] == far.argmin()
                torch.testing.assert_close(answer.z[b, :, i, j], codebook[far.argmin()])
    torch.testing.assert_close(answer.commitment, (z - answer.z).square().flatten(1).sum(1))
    torch.testing.assert_close(answer.commitment, answer.codebook)


@both
def test_gradients_go_straight_through_and_each_term_moves_its_own(name: str) -> None:
    part, z = quantizer(name, zoo.Shape(3)), torch.randn(5, 3, requires_grad=True)
    e = part.codebook.detach().clone()
    answer = part(z)
    weight = torch.randn(5, 3)
    (through,) = torch.autograd.grad((weight * answer.z).sum(), z, retain_graph=True)
    assert torch.equal(through, weight)
    (committed,) = torch.autograd.grad(answer.commitment.sum(), z, retain_graph=True)
    torch.testing.assert_close(committed, 2.0 * (z.detach() - e[answer.codes]))
    if name == "vq":
        (moved,) = torch.autograd.grad(answer.codebook.sum(), part.codebook, retain_graph=True)
        pulled = torch.zeros_like(e).index_add_(0, answer.codes, 2.0 * (e[answer.codes] - z.detach()))
        torch.testing.assert_close(moved, pulled)
        for term in (answer.commitment, answer.z):
            assert torch.autograd.grad(term.sum(), part.codebook, retain_graph=True, allow_unused=True) == (None,)
    assert answer.codebook.requires_grad == (name == "vq")


def test_moving_averages_are_those_of_loops() -> None:
    part = quantizer("vq_ema", zoo.Shape(2), decay=0.8, eps=0.1)
    sizes, sums, codebook = [1.0] * 6, [row.clone() for row in part.codebook], part.codebook.clone()
    for step in range(4):
        z = torch.randn(7, 2, generator=torch.Generator().manual_seed(step))
        nearest = [int((codebook - row).square().sum(1).argmin()) for row in z]
        part(z)
        for k in range(6):
            mine = [row for row, code in zip(z, nearest, strict=True) if code == k]
            sizes[k] = 0.8 * sizes[k] + 0.2 * len(mine)
            sums[k] = 0.8 * sums[k] + 0.2 * sum(mine, torch.zeros(2))
        total = sum(sizes)
        codebook = torch.stack([sums[k] / ((sizes[k] + 0.1) / (total + 6 * 0.1) * total) for k in range(6)])
        torch.testing.assert_close(part.codebook, codebook)
        torch.testing.assert_close(part.sizes, torch.tensor(sizes))


def test_averages_stand_still_in_evaluation() -> None:
    part = quantizer("vq_ema", zoo.Shape(2)).eval()
    before = {name: value.clone() for name, value in part.state_dict().items()}
    part(torch.randn(50, 2))
    assert all(torch.equal(before[name], value) for name, value in part.state_dict().items())
    assert set(before) == {"codebook", "sizes", "sums"}
    assert list(part.parameters()) == []


def test_averages_find_the_clusters() -> None:
    centres = torch.tensor([[5.0, 5.0], [-5.0, 5.0], [0.0, -5.0]])
    torch.manual_seed(0)
    part = quantizer("vq_ema", zoo.Shape(2), decay=0.9)
    part.initialize(centres.repeat(20, 1) + 0.1 * torch.randn(60, 2))
    for _ in range(100):
        part(centres.repeat(20, 1) + 0.1 * torch.randn(60, 2))
    distance = torch.cdist(centres, part.codebook).min(1).values
    assert distance.max() < 0.2
    assert part.codebook.abs().max() < 5.5  # the codes that nothing is near to have not run away


@both
def test_codes_start_at_vectors(name: str) -> None:
    part, z = quantizer(name, zoo.Shape(3, 2, 2)), torch.randn(5, 3, 2, 2)
    part.initialize(z)
    vectors = z.movedim(1, -1).reshape(-1, 3)
    assert (torch.cdist(part.codebook, vectors).min(1).values < 1e-3).all()
    assert len(part.codebook.unique(dim=0)) > 2


@both
def test_embedding_is_the_inverse(name: str) -> None:
    part = quantizer(name, zoo.Shape(3, 2, 2)).eval()
    codes = torch.randint(6, (4, 2, 2))
    z = part.embed(codes)
    assert z.shape == (4, 3, 2, 2)
    assert torch.equal(part(z).codes, codes)


@pytest.mark.parametrize(("codes", "expected"), [([3, 3, 3], 1.0), ([0, 1, 2, 3], 4.0), ([0, 0, 0, 1], 1.7548)])
def test_perplexity(codes: list[int], expected: float) -> None:
    assert perplexity(torch.tensor(codes), 6).item() == pytest.approx(expected, abs=1e-4)


# -- the model --------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_stated_formula() -> None:
    model, x = vq_vae(commitment_weight=0.3, codebook_weight=0.7), images()
    terms = model({"image": x}, CLOCK)
    logs = terms.logs
    assert terms.loss.item() == pytest.approx(
        (logs["nll"] + 0.3 * logs["commitment"] + 0.7 * logs["codebook"]).mean().item()
    )
    torch.testing.assert_close(logs["nll"], -model.likelihood.log_prob(x, model.decoder(model.encode(x))))
    assert {name: w.item() for name, w in terms.weights.items()} == pytest.approx({"commitment": 0.3, "codebook": 0.7})


def test_beta_stands_before_what_moves_the_encoder() -> None:
    """The weight of commitment changes the encoder's gradient, and leaves the codebook's alone."""
    found = []
    for beta in (0.1, 10.0):
        model = vq_vae(commitment_weight=beta)
        loss = model({"image": images()}, CLOCK).loss
        found.append(torch.autograd.grad(loss, [model.quantizer.codebook, *model.encoder.parameters()]))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][0].abs().sum() > 0
    assert not torch.allclose(found[0][-1], found[1][-1])


def test_averaged_codes_have_no_weight_in_the_loss() -> None:
    terms = vq_vae("vq_ema")({"image": images()}, CLOCK)
    assert terms.weights["codebook"] == 0.0
    expected = (terms.logs["nll"] + 0.25 * terms.logs["commitment"]).mean()
    assert terms.loss.item() == pytest.approx(expected.item())


@both
def test_the_bound_is_below_the_likelihood(name: str) -> None:
    """All latents of a small model can be listed: p(x) is their mean."""
    model, x = vq_vae(name, latent=(3, 2)).eval(), images()
    codes = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    h = model.decoder(model.embed(codes))
    with torch.no_grad():
        each = torch.stack([model.likelihood.log_prob(x, row.expand(len(x), *row.shape)) for row in h])
        bound = model.log_prob(x)
    evidence = each.logsumexp(0) - 2.0 * math.log(6.0)
    assert (bound <= evidence + 1e-5).all()
    number = model.codes(x) @ torch.tensor([6, 1])
    torch.testing.assert_close(bound, each[number, torch.arange(len(x))] - 2.0 * math.log(6.0))
    assert not model.exact


@both
def test_codes_make_the_reconstruction(name: str) -> None:
    model, x = vq_vae(name).eval(), images()
    codes = model.codes(x)
    assert codes.shape == (5, 2, 2)
    assert codes.dtype == torch.int64
    torch.testing.assert_close(model.expect(model.embed(codes)), model.reconstruct(x))


@both
def test_draws_are_of_all_codes_alike(name: str) -> None:
    model = vq_vae(name).eval()
    torch.manual_seed(0)
    z = model.draw_latent(3000)
    vectors = z[:, :12].reshape(3000, 3, 2, 2)
    counts = model.quantizer(vectors).codes.flatten().bincount(minlength=6)
    assert (counts - 2000).abs().max() < 5 * math.sqrt(2000)
    x = model.sample(4)
    assert x.shape == (4, 1, 4, 4)
    assert x.dtype == torch.uint8


def test_what_was_coded_is_learned() -> None:
    """A few patterns, and more codes: the reconstruction becomes exact."""
    torch.manual_seed(0)
    patterns = torch.randint(2, (4, 1, 4, 4)).to(torch.uint8)
    x = patterns.repeat(8, 1, 1, 1)
    model = vq_vae("vq_ema", latent=(3,), size=32, decay=0.9)
    model.quantizer.initialize(model.encoder(IMAGE.unit(x)))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        torch.autograd.backward(model({"image": x}, CLOCK).loss)
        optimizer.step()
    assert torch.equal(model.eval().reconstruct(patterns).round().to(torch.uint8), patterns)


# -- autoencoder and classifier ---------------------------------------------------------------------------------------


def test_an_autoencoder_has_no_likelihood() -> None:
    model: Any = zoo.declare(zoo.Model, {"type": "autoencoder", "latent": 2, **PARTS})(IMAGE)
    x = images()
    terms = model({"image": x}, CLOCK)
    assert [isinstance(model, kind) for kind in (zoo.Reconstructs, zoo.Scores, zoo.Samples)] == [True, False, False]
    h = model.decoder(model.encoder(IMAGE.unit(x)))
    torch.testing.assert_close(terms.logs["nll"], -model.likelihood.log_prob(x, h))
    torch.testing.assert_close(model.reconstruct(x), h.sigmoid())


def test_an_encoder_moves_from_an_autoencoder_to_a_classifier() -> None:
    net = {"type": "mlp", "width": 8}
    parts = {**PARTS, "encoder": net}
    one = zoo.declare(zoo.Model, {"type": "autoencoder", "latent": 5, **parts})(IMAGE)
    other: Any = zoo.declare(zoo.Model, {"type": "classifier", "encoder": net, "features": 5})(IMAGE)
    encoders = [
        {name: value.shape for name, value in model.state_dict().items() if name.startswith("encoder.")}
        for model in (one, other)
    ]
    assert encoders[0] == encoders[1] != {}


@pytest.mark.parametrize("width", [None, 7])
def test_a_classifier_learns(width: int | None) -> None:
    torch.manual_seed(0)
    node = {"type": "classifier", "encoder": "mlp", "features": 5, "width": width}
    model: Any = zoo.declare(zoo.Model, node)(IMAGE)
    x, label = images(12), torch.arange(12).remainder(3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        terms = model({"image": x, "label": label}, CLOCK)
        optimizer.zero_grad()
        torch.autograd.backward(terms.loss)
        optimizer.step()
    logits = model.predict(x)
    assert logits.shape == (12, 3)
    assert torch.equal(logits.argmax(1), label)
    assert terms.logs["accuracy"].mean() == 1.0
    likelihood = logits.log_softmax(1)[torch.arange(12), label]
    torch.testing.assert_close(
        model({"image": x, "label": label}, CLOCK).logs["cross_entropy"], -likelihood, rtol=1e-4, atol=1e-6
    )


def test_classes_are_needed() -> None:
    part = zoo.declare(zoo.Model, {"type": "classifier", "encoder": "mlp", "features": 5})
    with pytest.raises(zoo.SpecError, match="'point' has no classes"):
        part(zoo.Event("point", zoo.Shape(2)))
