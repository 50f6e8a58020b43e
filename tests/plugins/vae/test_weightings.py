"""Weightings: closed forms, schedules by hand, controllers step by step and in a closed loop."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from run_equality import assert_same_run
from torch import Tensor
from two_processes import SIZE, finish, together

import zoo
from zoo.engine.distributed import joined
from zoo.spec import load_spec
from zoo.testing.laws.weighting import at, clock_at, terms_of

HORIZON = 1000


def weighting(name: str, latent_size: int = 2, **parameters: Any) -> Any:
    return zoo.declare(zoo.Weighting, {"type": name, **parameters})(latent_size).double()


def clock(step: int, steps: int = HORIZON) -> zoo.Clock:
    return zoo.Clock(torch.tensor(step), steps)


def terms(nll: float, *kl: float) -> zoo.LatentTerms:
    """A batch of two whose means these are."""
    spread = torch.tensor([[0.5], [-0.5]], dtype=torch.float64)
    kl_dim = torch.tensor([kl], dtype=torch.float64) * (1.0 + spread)
    return zoo.LatentTerms(nll + spread.squeeze(1), kl_dim.sum(1), kl_dim, 4)


def betas(part: Any, at: list[int], steps: int = HORIZON) -> list[float]:
    return [part(terms(1.0, 1.0), clock(step, steps))[1]["beta"].item() for step in at]


# Schedules.


@pytest.mark.parametrize(("node", "at", "expected"), [
    ({"type": "beta", "beta": 4.0}, [0, 999], [4.0, 4.0]),
    ({"type": "linear_beta"}, [0, 250, 999], [0.0, 0.25, 0.999]),
    ({"type": "linear_beta", "start": 1.0, "final": 5.0, "steps": 10}, [0, 5, 10, 11, 999], [1.0, 3.0, 5.0, 5.0, 5.0]),
    ({"type": "linear_beta", "start": 2.0, "final": 1.0, "share": 0.1}, [0, 50, 100, 500], [2.0, 1.5, 1.0, 1.0]),
    ({"type": "sigmoid_beta", "steepness": 2.0}, [0, 500], [1.0 / (1.0 + math.e), 0.5]),
    ({"type": "sigmoid_beta", "final": 4.0, "share": 0.5}, [250, 500], [2.0, 4.0 / (1.0 + math.exp(-6.25))]),
    ({"type": "cyclical_beta"}, [0, 50, 125, 200, 249, 250, 375], [0.0, 0.4, 1.0, 1.0, 1.0, 0.0, 1.0]),
    ({"type": "cyclical_beta", "cycles": 2, "rise": 1.0, "most": 3.0}, [0, 250, 499, 500], [0, 1.5, 2.994, 0]),
    # Three cycles of 1000 / 3 steps: each has the 334 of the next whole number.
    ({"type": "cyclical_beta", "cycles": 3}, [333, 334, 668], [1.0, 0.0, 0.0]),
])  # fmt: skip
def test_schedules_by_hand(node: dict[str, Any], at: list[int], expected: list[float]) -> None:
    assert betas(weighting(node.pop("type"), **node), at) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["beta", "linear_beta", "sigmoid_beta", "cyclical_beta"])
def test_what_is_annealed_weighs_the_divergence(name: str) -> None:
    loss, weights = weighting(name)(terms(3.0, 2.0, 4.0), clock(100))
    assert loss.item() == pytest.approx(3.0 + weights["beta"].item() * 6.0)
    assert weights["beta"] > 0


@pytest.mark.parametrize("name", ["linear_beta", "sigmoid_beta", "capacity"])
def test_a_span_is_told_in_one_way(name: str) -> None:
    with pytest.raises(zoo.SpecError, match=r"'steps' \(5\) and 'share' \(0\.5\) cannot be combined"):
        weighting(name, steps=5, share=0.5)


def test_capacity_is_held() -> None:
    part = weighting("capacity", gamma=10.0, most=8.0, steps=100)
    for step, kl, expected in ((0, 3.0, 31.0), (50, 3.0, 11.0), (50, 4.0, 1.0), (400, 9.0, 11.0)):
        loss, weights = part(terms(1.0, kl), clock(step))
        assert loss.item() == pytest.approx(expected)
        assert weights["capacity"].item() == pytest.approx(min(8.0, 0.08 * step))
        assert weights["gamma"] == 10.0


def test_capacity_is_of_the_batch() -> None:
    """Not of each example: divergences of 2 and 6 have the mean 4."""
    kl = torch.tensor([2.0, 6.0], dtype=torch.float64)
    part = weighting("capacity", most=4.0, steps=1)
    assert part(zoo.LatentTerms(0.0 * kl, kl, None, 4), clock(1))[0] == 0.0


# Learned weights.


def settled(part: Any, given: zoo.LatentTerms) -> Tensor:
    """What ``s`` is optimised to for terms that stand still."""
    optimizer = torch.optim.Adam(part.parameters(), lr=0.3)
    for _ in range(600):
        optimizer.zero_grad()
        part(given, clock(0))[0].backward()
        optimizer.step()
    s: Tensor = part.log_s.detach().exp()
    return s


def test_l_vae_is_what_the_paper_writes() -> None:
    part = weighting("l_vae")
    with torch.no_grad():
        part.log_s.copy_(torch.tensor([2.0, 0.5]).log())
    loss, weights = part(terms(90.0, 6.0, 3.0), clock(0))
    assert loss.item() == pytest.approx(90.0 / 2.0 + 9.0 / 0.5 + 2.5)
    assert {name: w.item() for name, w in weights.items()} == pytest.approx(
        {"s_reconstruction": 2.0, "s_kl": 0.5, "beta": 4.0}
    )


@pytest.mark.parametrize(("nll", "kl"), [(100.0, 4.0), (0.25, 20.0)])
def test_l_vae_settles_at_the_roots(nll: float, kl: float) -> None:
    part = weighting("l_vae")
    assert settled(part, terms(nll, 0.25 * kl, 0.75 * kl)).tolist() == pytest.approx([nll**0.5, kl**0.5], rel=1e-4)
    assert betas(part, [0]) == pytest.approx([(nll / kl) ** 0.5], rel=1e-4)


def test_dl_vae_is_what_the_paper_writes() -> None:
    part = weighting("dl_vae")
    s = (2.0, 0.5, 7.0)
    with torch.no_grad():
        part.log_s.copy_(torch.tensor(s).log())
    loss, weights = part(terms(90.0, 6.0, 3.0), clock(0))
    w = [1.0 / (1.0 + math.log(1.0 + value)) for value in s]
    assert loss.item() == pytest.approx(90.0 * w[0] + 6.0 * w[1] + 3.0 * w[2] + 9.5)
    assert [weights[name].item() for name in ("reconstruction", "kl_0", "kl_1")] == pytest.approx(w)


def root(term: float) -> float:
    """Where (1 + s)(1 + ln(1 + s))^2 is the term, by bisection."""
    low, high = 0.0, term
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if (1 + middle) * (1 + math.log1p(middle)) ** 2 < term else (low, middle)
    return low


def test_dl_vae_settles_at_its_roots() -> None:
    part = weighting("dl_vae", latent_size=4)
    nll, *kl = 120.0, 30.0, 1.5, 0.5, 0.0
    s_0, s_1, s_2, s_3, s_4 = settled(part, terms(nll, *kl)).tolist()
    assert [s_0, s_1, s_2] == pytest.approx([root(nll), root(kl[0]), root(kl[1])], rel=1e-3)
    assert max(s_3, s_4) < 1e-3


def test_dl_vae_draws_no_more_curves_than_can_be_looked_at() -> None:
    weights = weighting("dl_vae", latent_size=100)(terms(1.0, *range(1, 101)), clock(0))[1]
    assert list(weights) == ["reconstruction", *(f"kl_{i}" for i in range(64))]


def test_learned_weights_have_a_rate_of_their_own() -> None:
    node = {"type": "adam", "lr": 0.001, "groups": [{"match": "*.log_s", "lr": 0.01, "weight_decay": 0.0}]}
    (group,) = zoo.declare(zoo.Optimizer, node)().groups
    for name in ("l_vae", "dl_vae"):
        (parameter,) = dict(weighting(name).named_parameters())
        assert group.match.removeprefix("*.") == parameter


# Controllers, step by step.


def driven(part: Any, observed: list[float]) -> list[float]:
    """The weight before each step and after the last, as a controller observes these divergences."""
    found = []
    for step, kl in enumerate(observed):
        found.append(part(terms(1.0, kl), clock(step))[1]["beta"].item())
        part.after_step(clock(step))
    return [*found, part.beta.item()]


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def set_point(step: int, start: float, increment: float, every: int, most: float) -> float:
    """As a loop raises it."""
    value = start
    for t in range(1, step + 1):
        if t % every == 0:
            value = min(value + increment, most)
    return value


def control_in_words(observed: list[float], compat: str, **given: Any) -> Iterator[float]:
    """ControlVAE in plain numbers: algorithm 1 with either way to keep the sum."""
    K_p, K_i, low, high = given["proportional"], given["integral"], given["beta_min"], given["beta_max"]
    total, before = 0.0, 0.0
    yield low
    for step, kl in enumerate(observed):
        e = set_point(step, given["start"], given["increment"], given["every"], given["most"]) - kl
        P = K_p / (1.0 + math.exp(e))
        if compat == "paper":
            if 0.0 <= before <= high:
                total -= K_i * e
            before = P + total + low
        elif compat == "solver":
            if before >= low or step == 0:
                total -= K_i * e
            before = P + total + low
        else:
            total -= K_i * e
            total = min(max(total, -P), high - low - P)
        yield min(max(P + total + low, low), high)


SETTING: dict[str, Any] = {
    "start": 0.5, "increment": 0.4, "every": 7, "most": 3.0, "proportional": 0.3, "integral": 0.05, "beta_min": 1.0,
    "beta_max": 2.5,
}  # fmt: skip
WAVES = [3.0 + 4.0 * math.sin(0.21 * t) + math.sin(2.7 * t) for t in range(120)]


@pytest.mark.parametrize("compat", ["none", "solver", "paper"])
@pytest.mark.parametrize("shift", [-2.5, 0.0, 3.0])
def test_control_step_by_step(compat: str, shift: float) -> None:
    observed = [kl + shift for kl in WAVES]
    found = driven(weighting("control", **SETTING, compat=compat), observed)
    assert found == pytest.approx(list(control_in_words(observed, compat, **SETTING)), abs=1e-12)
    assert min(found) >= 1.0 and max(found) <= 2.5
    assert len({round(beta, 9) for beta in found}) > 3


def test_both_ways_differ() -> None:
    none, paper = (driven(weighting("control", **SETTING, compat=compat), WAVES) for compat in ("none", "paper"))
    assert max(abs(a - b) for a, b in zip(none, paper, strict=True)) > 0.05


def test_the_default_is_close_to_what_the_authors_solver_imports() -> None:
    """With the paper's gains, where no upper limit is met."""
    given: dict[str, Any] = {"start": 5.0, "increment": 0.0, "beta_max": 1000.0}
    for shift in (0.0, 2.0, 4.0):
        observed = [kl + shift for kl in WAVES]
        none, solver, paper = (
            driven(weighting("control", **given, compat=way), observed) for way in ("none", "solver", "paper")
        )
        apart = [max(abs(a - b) for a, b in zip(none, other, strict=True)) for other in (solver, paper)]
        assert apart[0] < 0.02
        assert apart[0] <= apart[1]


def test_defaults_of_control_are_those_for_dsprites() -> None:
    part = weighting("control")
    assert (part.K_p, part.K_i, part.beta_min) == (0.01, 0.001, 1.0)
    at = [0, 4999, 5000, 9999, 10000, 583_333, 2_000_000]
    targets = [part(terms(1.0, 1.0), clock(t, 10**7))[1]["target"].item() for t in at]
    assert targets == pytest.approx([0.5, 0.5, 0.65, 0.65, 0.8, 17.9, 18.0])


def dynamic_in_words(observed: list[float], **given: Any) -> Iterator[float]:
    beta, e_before = given["beta"], 0.0
    yield beta
    for step, kl in enumerate(observed):
        recent = [*observed[:step], kl][-given["window"] :]
        e = set_point(step, given["start"], given["increment"], given["every"], given["most"])
        e -= sum(recent) / len(recent)
        beta += given["proportional"] * (sigmoid(-e) - sigmoid(-e_before)) - given["integral"] * e
        beta = min(max(beta, given["beta_min"]), given["beta_max"])
        e_before = e
        yield beta


@pytest.mark.parametrize("shift", [-2.5, 0.0, 3.0])
@pytest.mark.parametrize("window", [1, 5])
def test_dynamic_step_by_step(shift: float, window: int) -> None:
    setting = SETTING | {"beta": 2.0, "beta_min": 0.1, "beta_max": 4.0, "window": window}
    observed = [kl + shift for kl in WAVES]
    found = driven(weighting("dynamic", **setting, ramp=0.01), observed)
    assert found == pytest.approx(list(dynamic_in_words(observed, **setting)), abs=1e-12)
    assert min(found) >= 0.1 and max(found) <= 4.0


def test_dynamic_raises_its_set_point_evenly() -> None:
    """As the authors' loop does: in each of the first ``ramp`` steps of a period, but not of the first period."""
    part = weighting("dynamic", start=1.0, increment=0.6, every=5, ramp=0.6, most=2.5)
    value, expected = 1.0, []
    for step in range(25):
        if step >= 5 and step % 5 < 3:
            value = min(value + 0.2, 2.5)
        expected.append(value)
    targets = [part(terms(1.0, 1.0), clock(t))[1]["target"].item() for t in range(25)]
    assert targets == pytest.approx(expected)
    assert targets[-1] == 2.5


@pytest.mark.parametrize(("node", "message"), [
    ({"type": "control", "beta_min": 2.0, "beta_max": 1.0}, "below beta_max"),
    ({"type": "control", "start": 20.0}, "below its maximum"),
    ({"type": "dynamic", "beta": 0.01}, "between beta_min"),
    ({"type": "dynamic", "ramp": 1.5}, "less than or equal to 1"),
    ({"type": "control", "integral": -0.001}, "greater than or equal to 0"),
])  # fmt: skip
def test_settings_that_cannot_be(node: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        weighting(node.pop("type"), **node)


# In a closed loop, and at a limit.


def closed_loop(part: Any, plant: Callable[[float], float], steps: int) -> list[float]:
    """The divergences of a plant that goes a tenth of the way, in each step, to what the weight asks of it."""
    kl, found = plant(part.beta.item()), []
    for step in range(steps):
        beta = part(terms(1.0, kl), clock(step))[1]["beta"].item()
        part.after_step(clock(step))
        kl += 0.1 * (plant(beta) - kl)
        found.append(kl)
    return found


@pytest.mark.parametrize(("name", "parameters"), [
    ("control", {"integral": 0.1, "beta_max": 60.0}),
    ("dynamic", {"integral": 0.1, "beta": 50.0, "beta_max": 100.0}),
])  # fmt: skip
@pytest.mark.parametrize("target", [3.0, 8.0])
def test_a_closed_loop_comes_to_its_target(name: str, parameters: dict[str, Any], target: float) -> None:
    part = weighting(name, start=target, increment=0.0, most=target, **parameters)
    found = closed_loop(part, lambda beta: 30.0 / (1.0 + beta), steps=600)
    assert abs(found[0] - target) > 0.5
    assert found[-1] == pytest.approx(target, abs=0.01)
    assert part.beta.item() == pytest.approx(30.0 / target - 1.0, rel=0.01)


@pytest.mark.parametrize(("name", "lowest"), [("control", 1.0), ("dynamic", 0.1)])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_nothing_winds_up_at_a_limit(name: str, lowest: float, side: float) -> None:
    """Three hundred steps at a limit, then an error of the other sign: the weight leaves the limit in the next step."""
    extra: dict[str, Any] = {"beta": 2.0, "window": 1} if name == "dynamic" else {}
    part = weighting(name, start=5.0, increment=0.0, integral=0.01, beta_min=lowest, beta_max=3.0, **extra)
    limit = lowest if side > 0 else 3.0
    assert driven(part, [5.0 - 4.0 * side] * 300)[-1] == pytest.approx(limit)
    after = driven(part, [5.0 + 4.0 * side] * 10)
    assert (after[1] - limit) * side > 0.03
    assert (after[-1] - limit) * side > 0.3


def test_what_the_paper_holds_winds_up() -> None:
    """At the lower limit its sum falls by one before it is held, and is held for good."""
    part = weighting("control", start=5.0, increment=0.0, integral=0.01, compat="paper")
    assert driven(part, [1.0] * 300)[-1] == 1.0
    assert part.sum.value.item() < -0.95
    assert driven(part, [9.0] * 20)[-1] == 1.0


# In training.


def observing(part: Any, halves: list[Tensor]) -> list[float]:
    """The weights of some steps, each of which observes these rows of its batch."""
    found = []
    for step in range(6):
        for rows in halves:
            part(at(terms_of(part, seed=step), rows), clock_at(step))
        part.after_step(clock_at(step))
        found.append(part.beta.item())
    return found


@pytest.mark.parametrize("name", ["control", "dynamic"])
def test_two_processes_with_half_the_batch_are_one(name: str) -> None:
    parameters: dict[str, Any] = {"integral": 0.05, **({"window": 2} if name == "dynamic" else {})}
    halves = list(torch.split(torch.arange(8), 8 // SIZE))
    expected = observing(weighting(name, **parameters), [torch.arange(8)])
    alone = observing(weighting(name, **parameters), halves[:1])

    def work(rank: int) -> None:
        with joined():
            found = observing(weighting(name, **parameters), [halves[rank]])
        assert found == pytest.approx(expected, rel=1e-12)
        assert found != pytest.approx(alone, rel=1e-6)

    finish(together(work))


VAE: dict[str, Any] = {
    "name": "controlled",
    "data": {"type": "toy2d", "figure": "two_moons", "size": 200, "test_size": 50},
    "model": {
        "type": "vae",
        "latent": 2,
        "encoder": {"type": "mlp", "width": 8},
        "decoder": {"type": "mlp", "width": 8},
        "likelihood": "gaussian",
    },
    "train": {"steps": 8, "batch": 16, "optimizer": {"type": "adam", "lr": 0.01}, "log_every": 1, "ema": 0.9},
    "engine": {"compile": "off", "device": "cpu"},
    "evaluate": ["elbo"],
}


@pytest.mark.parametrize("node", [{"type": "control", "compat": "paper"}, {"type": "control"}, {"type": "dynamic"}])
def test_a_controlled_run_resumes_to_the_same_bits(node: dict[str, Any], tmp_path: Path) -> None:
    spec = load_spec(VAE | {"model": VAE["model"] | {"weighting": node | {"integral": 0.1, "start": 0.0}}})
    whole = zoo.train(spec, runs=tmp_path, name="whole")
    halves = zoo.train(spec, runs=tmp_path, name="halves", steps=3)
    zoo.resume(halves.directory)
    assert_same_run(halves.directory, whole.directory)
    rows = [json.loads(line) for line in (whole.directory / "metrics.jsonl").read_text().splitlines()]
    assert len({row["weight.beta"] for row in rows}) > 4
