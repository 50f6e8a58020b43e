"""Every causal model obeys the laws, the laws find planted defects, and a command asks for both."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_plugins import installed, point
from torch import Tensor
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.registry import registry
from zoo.registry.part import example_of
from zoo.testing import (
    CAUSAL_LAWS,
    COUNTED_LAWS,
    Case,
    LawBroken,
    applying_to_causal,
    causal_cases,
    countable,
    liven_model,
    parts_of,
)
from zoo.testing.laws.causal.dependencies import changed, felt
from zoo.testing.laws.causal.draws import one_by_one
from zoo.testing.laws.causal.order import leak_of


def stack(*layers: Any, head: Any = "bernoulli", entry: Any = None, **keys: Any) -> dict[str, Any]:
    """An autoregressive model of images, as a spec would declare it."""
    net = {"type": "causal_stack", "width": 12, "layers": list(layers), "readout": [12]}
    net["entry"] = entry or {"type": "masked", "kernel": 3}
    net["activation"] = keys.pop("activation", "relu")
    if "context" in keys:
        net["context"] = 10
    if "output" in keys:
        net["output"] = keys.pop("output")
    return {"type": "autoregressive", "head": head, "net": net, **keys}


def told(layer: str) -> dict[str, Any]:
    """A layer that hears of ten classes."""
    return {"type": layer, "context": 10}


def declared(kind: str) -> dict[str, dict[str, Any]]:
    """Every registered part of a kind, as a spec would declare it on little data."""
    return {name: {"type": name, **example_of(cls)} for name, cls in classes(kind).items()}


def classes(kind: str) -> dict[str, Any]:
    """The registered parts of a kind."""
    return {name: cls for (of, name), cls in registry.installed().components().items() if of == kind}


def of_parts() -> Iterator[tuple[str, dict[str, Any]]]:
    """A model with each registered part that causal models are made of, and with each layer that hears of classes."""
    for name, layer in declared("causal_layer").items():
        yield f"layer-{name}", stack(layer, head="categorical")
        if "context" in inspect.signature(classes("causal_layer")[name]).parameters:
            yield f"told-{name}", stack({**layer, "context": 10}, head="categorical", context="one_hot")
    for name, entry in declared("causal_entry").items():
        above = "pointwise" if name == "previous_pixel" else "gated_resnet"
        yield f"entry-{name}", stack(above, head="categorical", entry=entry)
    for name, head in declared("head").items():
        yield f"head-{name}", stack("gated", head=head)
    for name, inputs in declared("inputs").items():
        yield f"inputs-{name}", stack("masked_residual", head="categorical", inputs=inputs)
    for name, output in declared("output").items():
        yield f"output-{name}", stack("masked_residual", head="categorical", output=output)
    for name, net in declared("autoregressive_net").items():
        yield f"net-{name}", {"type": "autoregressive", "head": "categorical", "net": net}


CASES = list(causal_cases(**dict(of_parts())))


def types(node: Any) -> Iterator[str]:
    """The names of all components that a declaration has."""
    if isinstance(node, dict):
        yield from (node[key] for key in ("type",) if key in node)
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from types(inner)


def traced_by_default() -> set[str]:
    """Layers, entries, nets and models by themselves; the rest of what is traced is alike, or a shipped spec."""
    parts = {label for label, _ in of_parts() if label.startswith(("layer-", "entry-", "net-"))}
    return parts | set(declared("model"))


def laws_of_cases() -> Iterator[Any]:
    traced: list[set[str]] = []
    fast = traced_by_default()
    for case in CASES:
        made_of = set(types(case.part.resolved()))
        for law in CAUSAL_LAWS:
            # Tracing is slow, and the same for other data and sizes.
            if law != "compiles" or made_of not in traced:
                slow = [pytest.mark.slow] if law == "compiles" and case.label not in fast else []
                yield pytest.param(case, law, marks=slow, id=f"{case}-{law}")
        traced.append(made_of)


@pytest.fixture(scope="module")
def models() -> dict[str, zoo.Model]:
    return {}


@pytest.mark.parametrize(("case", "law"), list(laws_of_cases()))
def test_law(case: Case, law: str, models: dict[str, zoo.Model]) -> None:
    """Of the model, and of its parts that are causal."""
    model = models.setdefault(str(case), liven_model(case.build()))
    for part in parts_of(model, zoo.Causal).values():
        if law in applying_to_causal(part):
            CAUSAL_LAWS[law](part)


def cases_to_count() -> Iterator[Case]:
    for case in {case.label: case for case in CASES}.values():
        yield from countable(case.label, case.part, case.given[0])


@pytest.mark.parametrize("case", list(cases_to_count()), ids=str)
def test_laws_on_data_that_can_be_counted(case: Case) -> None:
    for part in parts_of(liven_model(case.build()), zoo.Causal).values():
        for law in applying_to_causal(part).keys() & COUNTED_LAWS:
            CAUSAL_LAWS[law](part)


IMAGE = zoo.Event("image", zoo.Shape(1, 4, 4), levels=2, classes=10)
COLOURS = zoo.Event("image", zoo.Shape(3, 3, 4), levels=2)
GREYS = zoo.Event("image", zoo.Shape(1, 4, 4), levels=3)
FEW = zoo.Event("image", zoo.Shape(1, 2, 3), levels=2)

DEFECTS: dict[str, tuple[zoo.Event, dict[str, Any], str, str]] = {
    "mask_b_in_the_entry": (
        IMAGE, stack("masked_residual", entry="astray.own_pixel"), "nothing_leaks",
        r"in evaluation mode the conditional of \(0, 0, 0\) changes with its own number: mask it in",
    ),
    "one_colour": (
        COLOURS, stack("masked_residual", entry="astray.next_colour"), "nothing_leaks",
        r"of \(0, 0, 0\) changes with the number at \(1, 0, 0\), which is drawn after it",
    ),
    "batch_norm": (
        IMAGE, stack("astray.normed_by_batch"), "nothing_leaks",
        r"in training mode the conditional of \(0, 0, 0\) changes with another example of the batch: remove batch stat",
    ),
    "only_in_training": (
        IMAGE, stack("astray.pooled"), "nothing_leaks",
        r"in training mode the conditional of \(0, 0, 0\) changes with its own number",
    ),
    "vertical_stream": (
        IMAGE, stack("astray.row_too_low"), "nothing_leaks", r"of \(0, 0, 0\) changes with its own number",
    ),
    "head": (GREYS, stack("gated", head="astray.knows_itself"), "nothing_leaks", "changes with its own number"),
    "order": (
        IMAGE, {**stack("gated"), "type": "astray.reversed_ranks"}, "nothing_leaks", "which is drawn after it",
    ),
    "hole": (
        IMAGE, stack("astray.deaf_to_rows"), "past_is_seen",
        r"of \(0, 1, 0\) is declared to depend on \(0, 0, 2\), but does not: make sees",
    ),
    "reach_too_small": (
        IMAGE, stack("astray.modest"), "past_is_seen",
        r"of \(0, 0, 2\) depends on \(0, 0, 0\), but is not declared to",
    ),
    "sees_itself": (
        IMAGE, {"type": "autoregressive", "head": "bernoulli", "net": {"type": "astray.hears_all", "hidden": 4}},
        "past_is_seen", "declares a number that is drawn later",
    ),
    "not_a_sum": (
        GREYS, stack("gated", head="astray.cut_tail"), "log_prob_is_sum_of_conditionals", "levels last",
    ),
    "scored_otherwise": (
        GREYS, stack("gated", head="astray.scores_more"), "log_prob_is_sum_of_conditionals",
        "^log_prob and the sum of the conditionals differ by",
    ),
    "floats_are_others": (
        GREYS, stack("gated", head="astray.by_dtype"), "log_prob_is_sum_of_conditionals",
        "^levels of torch.float64 have different conditionals",
    ),
    "not_normalised_as_a_whole": (
        FEW, stack("gated", head="astray.knows_itself"), "normalises", "^the probabilities of all data sum to",
    ),
    "not_normalised": (
        GREYS, stack("gated", head="astray.unnormalised"), "normalises", r"at \(0, .* do not sum to one",
    ),
    "examples_in_evaluation": (
        IMAGE, stack("astray.normed_by_hand"), "answers_each_example_alone", "with the rest of its batch",
    ),
    "examples_leak": (IMAGE, stack("astray.normed_by_hand"), "nothing_leaks", "in evaluation mode .* another example"),
    "context_ignored": (
        IMAGE, stack(told("astray.deaf_to_context"), context="one_hot"), "depends_on_its_context",
        r"of \(0, 0, 0\) does not depend on the context",
    ),
    "stepper": (
        IMAGE, stack("astray.one_column_late"), "draws_agree",
        r"^unroll and redraw, number by number, differ at .* \(temperature 1\): compute the same as forward",
    ),
    "known_forgotten": (
        IMAGE, {**stack("gated"), "type": "astray.forgets_what_is_known"}, "draws_agree",
        "^unroll changes the known number at",
    ),
    "known_unheard": (
        IMAGE, {**stack("gated"), "type": "astray.puts_back_what_is_known"}, "draws_agree",
        r"^unroll and redraw, number by number, differ .* \(temperature 0.6, a part known\)",
    ),
    "temperature_in_unroll": (
        IMAGE, {**stack("gated"), "type": "astray.warm_by_steps"}, "draws_agree",
        r"^unroll and redraw, number by number, differ .* \(temperature 0.6, a part known\)",
    ),
    "temperature": (IMAGE, stack("gated", head="astray.never_cool"), "temperature_has_effect", "gives the same draws"),
    "never_cold": (IMAGE, stack("gated", head="astray.lukewarm"), "temperature_has_effect", "are still random"),
    "frequencies": (
        FEW, stack("gated", head="astray.partial_to_zero"), "draws_follow",
        r"^frequencies of draws are \d+\.\d standard errors from the conditionals",
    ),
    "completions": (
        FEW, {**stack("gated"), "type": "astray.puts_back_what_is_known"}, "draws_follow",
        r"^frequencies of completions of data known at \(0, 0, 0\), \(0, 0, 2\), \(0, 1, 1\) are",
    ),
    "precision": (GREYS, stack("gated", head="astray.single"), "dtype_follows", "in torch.float64 the outputs are"),
    "values_on_meta": (GREYS, stack("gated", head="astray.asks_for_values"), "runs_on_meta", "do not read tensor"),
    "values_in_a_graph": (GREYS, stack("gated", head="astray.asks_for_values"), "compiles", "as one graph"),
}  # fmt: skip
"""Data, a model with one defect, the law that must find it, and what it says."""


@pytest.fixture(scope="module", autouse=True)
def astray() -> Iterator[None]:
    with installed(point("astray", "causal_defects")):
        yield


def built(event: zoo.Event, node: dict[str, Any]) -> Any:
    return liven_model(Case("defect", zoo.declare(zoo.Model, node), (event,)).build())


@pytest.mark.parametrize(("event", "node", "law", "message"), DEFECTS.values(), ids=DEFECTS)
def test_a_law_finds_a_defect(event: zoo.Event, node: dict[str, Any], law: str, message: str) -> None:
    with pytest.raises(LawBroken, match=message):
        CAUSAL_LAWS[law](built(event, node))


FOUND_BY_ONE = {
    "hole": {"draws_agree"},  # its stepper does link the streams
    "context_ignored": set[str](),
    "known_forgotten": set[str](),
    "temperature_in_unroll": {"temperature_has_effect"},
    "reach_too_small": set[str](),
    "frequencies": set[str](),
}


@pytest.mark.parametrize("name", FOUND_BY_ONE)
def test_other_laws_are_kept(name: str) -> None:
    """What a law says is of its own matter: the rest of a model with one defect is in order."""
    event, node, broken, _ = DEFECTS[name]
    model = built(event, node)
    found = set()
    for law in CAUSAL_LAWS.keys() - {"compiles"}:
        try:
            CAUSAL_LAWS[law](model)
        except LawBroken:
            found.add(law)
    assert found == {broken, *FOUND_BY_ONE[name]}


def blamed_for_leak(event: zoo.Event, node: dict[str, Any]) -> str | None:
    with pytest.raises(LawBroken) as broken:
        CAUSAL_LAWS["nothing_leaks"](built(event, node))
    return None if broken.value.blamed is None else broken.value.blamed.name


def test_a_leak_is_blamed_on_the_first_part_that_knows() -> None:
    deep = stack("masked_residual", "astray.row_too_low", "gated")
    after = stack("astray.pooled", "gated", "masked_residual")
    assert blamed_for_leak(IMAGE, deep) == "astray.row_too_low"
    assert blamed_for_leak(IMAGE, after) == "astray.pooled"
    assert blamed_for_leak(*DEFECTS["mask_b_in_the_entry"][:2]) == "astray.own_pixel"
    assert blamed_for_leak(IMAGE, stack("gated", "astray.normed_by_batch", "gated")) == "astray.normed_by_batch"


def test_none_is_blamed_where_no_part_can_be_told_guilty() -> None:
    assert blamed_for_leak(*DEFECTS["one_colour"][:2]) is None
    assert blamed_for_leak(*DEFECTS["head"][:2]) is None


def brute(model: Any, x: Tensor) -> Tensor:
    """Which conditionals change with which number, by one pass for each number and level."""
    D = x.numel()
    base = model.conditionals(x).reshape(D, -1)
    found = torch.zeros(D, D, dtype=torch.bool)
    for j in range(D):
        for level in range(model.event.levels):
            other = x.clone().flatten()
            other[j] = level
            found[:, j] |= (model.conditionals(other.reshape(x.shape)).reshape(D, -1) != base).any(1)
    return found


def test_dependencies_are_those_of_one_pass_for_each_number() -> None:
    """By other levels and by gradients, where units are smooth and levels are two: all three say the same."""
    model = built(COLOURS, stack("gated", activation="tanh"))
    x = torch.randint(2, (1, *COLOURS.shape), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
    wanted = brute(model, x)
    assert torch.equal(changed(model, x, None), wanted)
    assert torch.equal(felt(model, x, None), wanted)
    assert torch.equal(wanted, model.sees())


def test_dropout_is_no_leak() -> None:
    model = built(IMAGE, stack("gated"))
    model.net.phi = torch.nn.Dropout(0.5)
    assert leak_of(model) is None


def test_number_by_number_is_what_its_name_says() -> None:
    model = built(FEW, stack("gated"))
    u = torch.rand(3, 6, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.zeros(3, 1, 2, 3, dtype=torch.uint8)
    for i in range(6):
        p = model.conditionals(x)[..., 1].exp().flatten(1)[:, i]
        x.flatten(1)[:, i] = (u[:, i, 0] < p).to(torch.uint8)
    assert torch.equal(one_by_one(model, u, None, 1.0), x)


def test_an_embedding_is_seen_through_its_levels_alone() -> None:
    model = built(GREYS, stack("gated", head="categorical", inputs={"type": "embedding", "size": 2}))
    x = torch.ones(1, *GREYS.shape, dtype=torch.uint8)
    assert not felt(model, x, None).any()
    assert torch.equal(changed(model, x, None), model.sees())


# -- zoo build --laws --------------------------------------------------------------------------------------------------

SPEC = """\
name: tiny
plugins: [astray]
data: {type: binarised, of: digits}
model:
  type: autoregressive
  head: bernoulli
  net:
    type: causal_stack
    width: 6
    entry: {type: masked, kernel: 3}
    layers:
      - gated
      - LAYER
train: {steps: 2, batch: 8, optimizer: {type: adam, lr: 1.0e-3}}
evaluate: [nll]
"""


def build(folder: Path, text: str, *options: str) -> Any:
    path = folder / "spec.yaml"
    path.write_text(text)
    return CliRunner().invoke(app, ["build", str(path), *options])


def test_build_holds_a_model_to_its_laws(tmp_path: Path) -> None:
    plain = build(tmp_path, SPEC.replace("LAYER", "gated"))
    done = build(tmp_path, SPEC.replace("LAYER", "gated"), "--laws")
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith(plain.stdout)
    lines = [line.split() for line in done.stdout.removeprefix(plain.stdout).strip().splitlines()]
    laws = CAUSAL_LAWS.keys() - {"depends_on_its_context"}
    assert lines[0] == ["law", "verdict"]
    assert sorted(lines[1:]) == sorted([law, "kept"] for law in laws)


def test_build_answers_with_laws_in_json(tmp_path: Path) -> None:
    done = build(tmp_path, SPEC.replace("LAYER", "astray.modest"), "--laws", "--json")
    assert done.exit_code == 2
    laws = json.loads(done.stdout)["laws"]
    assert [law for law, verdict in laws.items() if verdict != "kept"] == ["past_is_seen"]
    assert laws["past_is_seen"].startswith("model 'autoregressive': breaks the law past_is_seen: the conditional of ")
    assert "laws" not in json.loads(build(tmp_path, SPEC.replace("LAYER", "gated"), "--json").stdout)


def test_build_says_whose_line_breaks_a_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC.replace("LAYER", "astray.pooled"))
    done = CliRunner().invoke(app, ["build", "spec.yaml", "--laws"])
    assert done.exit_code == 2
    assert "nothing_leaks                    broken" in done.stdout
    assert done.stderr == (
        "error: spec.yaml:13:9  model.net.layers[1]  causal_layer 'astray.pooled' of stranger 1.0: breaks the law "
        "nothing_leaks: in training mode the conditional of (0, 0, 0) changes with its own number: mask it in the "
        "computation of its parameters, or return another order from ranks()\n"
        "          - astray.pooled\n"
        "            ^\n"
    )


def test_build_of_a_model_without_laws(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["build", "realnvp-2d", "--laws"])
    assert done.exit_code == 0
    assert done.stdout.endswith("\nno capability of the model has laws\n")
    done = CliRunner().invoke(app, ["build", "realnvp-2d", "--laws", "--json"])
    assert json.loads(done.stdout)["laws"] == {}


def test_build_takes_the_small_version_for_laws(tmp_path: Path) -> None:
    """A part that only the full size has is not held to them."""
    text = SPEC.replace("LAYER", "astray.modest") + "small: {model.net.layers: [gated]}\n"
    done = build(tmp_path, text, "--laws")
    assert done.exit_code == 0, done.stderr


def test_build_refuses_statistics_of_batches_in_causal_models(tmp_path: Path) -> None:
    done = build(tmp_path, SPEC.replace("LAYER", "astray.normed_by_batch"))
    assert done.exit_code == 2
    at = "spec.yaml:13:9  model.net.layers[1]  causal_layer 'astray.normed_by_batch' of stranger 1.0: "
    assert f"{at}BatchNorm2d computes batch statistics, so examples depend on each other" in done.stderr
