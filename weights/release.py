"""What is made from trained weights: share files from runs, figures in specs and README, pictures in docs.

python weights/release.py add RUN...     # the share file of a finished run, measured, into weights/zoo_weights
python weights/release.py reached        # figures into specs/*.yaml and README.md
python weights/release.py pictures       # docs/*.png
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer
import yaml

from zoo.catalogue.figures import figure
from zoo.catalogue.queries import catalogue, specs
from zoo.errors import UsageError, ZooError
from zoo.format.header import read_header
from zoo.inference.evaluate import evaluate, protocol
from zoo.registry.shipped import shipped_specs, shipped_weights
from zoo.run.directory import Run
from zoo.share.file import Share, export, half, read_share
from zoo.spec import Spec, load_spec
from zoo.training.provenance import changes, shown

ROOT = Path(__file__).parents[1]
WEIGHTS, SPECS, DOCS = ROOT / "weights" / "zoo_weights", ROOT / "specs", ROOT / "docs"
LARGEST = 4_000_000
"""Bytes of a share file."""
HALVED = 2_000_000
"""Bytes from which a share file stores its weights in 16 bits."""
HEADLINES = ("bits_per_dim", "nll_iwae", "nll", "accuracy")
"""Figures that come first, in this order; others follow in the order of their metrics."""
NOTE = "# written from the weights by `make reached`, but for entries without a file"
PICTURES: Mapping[str, list[str]] = {
    "realnvp.png": ["realnvp"],
    "gated-pixelcnn.png": ["gated-pixelcnn"],
    "realnvp-2d.png": ["realnvp-2d", "--density"],
    "mixture-1d.png": ["mixture-1d", "--density"],
    "vae-2d.png": ["vae-2d", "--view", "manifold"],
    "beta-vae.png": ["beta-vae", "--view", "traverse"],
    "pixelcnn.png": ["pixelcnn", "--view", "complete"],
    "flow-matching-2d.png": ["flow-matching-2d", "--view", "path"],
    "flow-matching-2d-steps.png": ["flow-matching-2d", "--view", "solver_steps"],
    "energy-nce-2d.png": ["nce-2d", "--density"],
    "energy-ebm-2d.png": ["ebm-2d", "--density"],
}
"""Pictures of docs, each with the arguments of ``zoo sample`` that draw it."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def add(runs: list[Path], dtype: str | None = None) -> None:
    """Measure finished runs of shipped specs and write their share files, large ones with weights of 16 bits."""
    for run in runs:
        print(added(run, dtype))


def added(run: Path, dtype: str | None = None) -> Path:
    """The share file of a run of a shipped spec, with figures measured of what it stores."""
    share = read_share(run / "model.safetensors")
    spec = load_spec(share.spec.name)
    if (status := Run(run).status) != "finished":
        raise UsageError(f"{run} is {status}: finish it with: zoo train --resume {run}")
    require_trained_as_declared(run, share, spec)
    target = WEIGHTS / f"{spec.name}.safetensors"
    size = (run / "model.safetensors").stat().st_size
    chosen = dtype or ("float16" if size > HALVED else None)
    meta = share.header.meta
    facts = {key: meta[key] for key in ("step", "data", "parent", "licence")}
    facts["dtype"] = None if chosen is None else half(chosen)
    with TemporaryDirectory() as aside:
        stored = read_share(export(Path(aside, target.name), spec, share.model(), **facts))
        if (size := stored.path.stat().st_size) > LARGEST:
            raise UsageError(f"{spec.name}: its share file has {size:,} bytes; expected at most {LARGEST:,}")
        model, metrics = stored.model(), protocol(evaluate(stored, spec), spec, "test")
    export(target, spec, model, metrics=metrics, **facts)
    return target


def require_trained_as_declared(run: Path, share: Share, spec: Spec) -> None:
    """UsageError unless a model was trained by the spec as it is shipped now."""
    found = list(changes(spec, share.spec.resolved()))
    if found:
        raise UsageError(f"{run} was not trained as '{spec.name}' is declared now\n{shown(list(map(str, found)))}")


@app.command()
def reached() -> None:
    """Write the figures of the weights into the specs and the table of README.md."""
    for name, path in own_specs().items():
        path.write_text(with_reached(path.read_text(encoding="utf-8"), name), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


def own_specs() -> dict[str, Path]:
    """The specs of zoo itself."""
    return {name: path for name, path in shipped_specs().items() if path.is_relative_to(SPECS)}


def with_reached(text: str, name: str) -> str:
    """A spec's text with the figures of its weights; figures without a file stay where the weights have none."""
    measured = figures_of(name)
    proved = {one["metric"] for one in measured}
    had = (yaml.safe_load(text) or {}).get("reached", [])
    entries = [*measured, *(one for one in had if one.get("file") is None and one["metric"] not in proved)]
    text = re.sub(r"(?m)^reached:.*\n(?:[ -].*\n)*", "", text)
    if not entries:
        return text
    block = "\n".join([f"reached: {NOTE}", *map(_entry, entries)]) + "\n"
    keys = list(re.finditer(r"(?m)^(\w+):.*\n(?:[ #-].*\n)*", text))
    before = [key for key in keys if key[1] in ("name", "extends", "description", "published")]
    at = before[-1].end()
    return text[:at] + block + text[at:]


def figures_of(name: str) -> list[dict[str, Any]]:
    """The figures that a spec's share file records, as entries of ``reached``; none without a file."""
    file = WEIGHTS / f"{name}.safetensors"
    if not file.exists():
        return []
    recorded = read_header(file).meta["metrics"]
    metrics = {metric: part for part in load_spec(name).evaluate.metrics for metric in part().figures()}
    entries = []
    ranks = {metric: rank for rank, metric in enumerate(dict.fromkeys([*HEADLINES, *metrics]))}
    for metric, measured in sorted(recorded["figures"].items(), key=lambda item: ranks.get(item[0], len(ranks))):
        if "." in metric:
            continue
        part = metrics.get(metric)
        by = f"by {_words(part.resolved())}" if part else "by its metrics"
        entry: dict[str, Any] = {"metric": metric, "value": _rounded(measured["value"], 6)}
        if "standard_error" in measured:
            entry["standard_error"] = _rounded(measured["standard_error"], 3)
        entry |= {"n": measured["n"], "kind": measured["kind"], "file": file.name}
        network = f", network {measured['features'][:19]}" if "features" in measured else ""
        entries.append(entry | {"protocol": f"{by}{network}, on the test split, seed {recorded['seed']}"})
    return entries


def _words(part: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in part.items() if key != "type" and value is not None)
    return f"{part['type']} ({settings})" if settings else str(part["type"])


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _entry(entry: Mapping[str, Any]) -> str:
    """An entry in YAML's flow style, on two lines."""
    texts = {key: json.dumps(value) if isinstance(value, str) else str(value) for key, value in entry.items()}
    texts |= {key: str(entry[key]) for key in ("metric", "kind", "file") if entry.get(key) is not None}
    texts = {key: "null" if entry[key] is None else text for key, text in texts.items()}
    facts = ", ".join(f"{key}: {text}" for key, text in texts.items() if key != "protocol")
    return f"  - {{{facts},\n     protocol: {texts['protocol']}}}"


BEGIN, END = "<!-- figures: written by `make reached` -->", "<!-- end of figures -->"


def with_table(text: str) -> str:
    """README's text with the table of all figures."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    if not after:
        raise UsageError(f"README.md: expected a table between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def table() -> str:
    """A row for each spec of zoo: its first figure, the file that proves it or the reason why none does."""
    rows = ["| spec | held out | n | proof | published |", "| --- | --- | --- | --- | --- |"]
    lines = [line for line in specs(catalogue()) if line.name in own_specs()]
    for family in dict.fromkeys(line.family for line in lines):
        rows.append(f"| **{family.partition(':')[0]}** | | | | |")
        rows += [f"| {' | '.join(_row(line.name))} |" for line in lines if line.family == family]
    return "\n".join(rows)


def _row(name: str) -> list[str]:
    spec = load_spec(name, say=lambda _: None)
    published = "; ".join(f"{one.value:g} {one.metric}, {one.source}" for one in spec.published)
    if not spec.reached:
        return [f"`{name}`", "no figure yet", "", "", published]
    first = spec.reached[0]
    count = "" if first.n is None else f"{first.n:,}"
    proof = f"[file](weights/zoo_weights/{first.file})" if first.file else first.protocol.rpartition("; ")[2]
    return [f"`{name}`", figure(first.model_dump()), count, proof, published]


@app.command()
def pictures() -> None:
    """Draw the pictures of docs from the weights; those of specs without weights stay as they are."""
    from zoo.cli import app as zoo

    for picture, arguments in PICTURES.items():
        if arguments[0] not in shipped_weights():
            print(f"{picture} stays: {arguments[0]} has no weights here", file=sys.stderr)
            continue
        zoo(["sample", *arguments, "-o", str(DOCS / picture)], standalone_mode=False)


if __name__ == "__main__":
    try:
        app(standalone_mode=False)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
