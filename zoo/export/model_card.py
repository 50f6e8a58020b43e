"""Model cards of share files: markdown with YAML front matter, as hubs show it.

The author of the file chose its words. None of them can end a table, a code block or the YAML, or become markup.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..catalogue.describe import shown
from ..catalogue.markdown import fenced, table
from ..distribution import DISTRIBUTION, HOME
from ..document.yaml import write_yaml
from ..format.metadata import parents_in
from ..hub.address import Address
from ..spec import Spec

LICENCES = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc-by-2.0",
    "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0",
    "cdla-permissive-2.0", "epl-2.0", "eupl-1.1", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mit",
    "mpl-2.0", "ncsa", "openrail", "osl-3.0", "pddl", "unlicense", "wtfpl", "zlib",
}  # fmt: skip
"""Those that hubs know by name; they refuse a card with another."""
MAX_WORDS = 1000

_MARKUP = re.compile(r"([\\`*_\[\]|~$])")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]+")


def card(spec: Spec, meta: Mapping[str, Any], address: Address, *, parameters: int, picture: str | None) -> str:
    """The card of an opened share file, from its spec and its header's ``meta``, for the address that it will have.

    ``picture`` names the file with its draws, where there is one.
    """
    sections = [
        _front_matter(spec, meta, picture),
        f"# {words(spec.name)}",
        f"{words(spec.name)}: {words(spec.description)}" if spec.description else "",
        f"![Draws from the model]({picture})" if picture else "",
        _how_to_open(meta, address, picture),
        _figures(spec, meta["metrics"]),
        _facts(meta, parameters),
        _components(meta),
        f"## The spec\n\nResolved: every default is written out.\n\n{fenced(write_yaml(spec.resolved()), 'yaml')}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def words(value: Any) -> str:
    """Untrusted text escaped for a line of markdown or a cell of a table.

    >>> words("<b>*one*\\n| two")
    '&lt;b&gt;\\\\*one\\\\* \\\\| two'
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    text = text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]} ..."
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", text)


def _front_matter(spec: Spec, meta: Mapping[str, Any], picture: str | None) -> str:
    """The metadata by which a hub sorts: each value is a JSON string on one line, which is safe YAML."""
    event, lines = meta["event"], ["---", "library_name: zoo"]
    if meta["licence"] is not None:
        lines += _licence(str(meta["licence"]))
    if picture and len(event["shape"]) == 3:
        lines.append("pipeline_tag: unconditional-image-generation")
    tags = ["zoo", "generative-model", spec.model.name, event["name"]]
    return "\n".join([*lines, "tags:", *(f"- {json.dumps(str(tag))}" for tag in dict.fromkeys(tags)), "---"])


def _licence(licence: str) -> list[str]:
    if licence.lower() in LICENCES:
        return [f"license: {licence.lower()}"]
    slug = re.sub(r"[^a-z0-9.]+", "-", licence.lower())[:80].strip("-.")
    return ["license: other", f"license_name: {json.dumps(slug or 'other')}"]


def _how_to_open(meta: Mapping[str, Any], address: Address, picture: str | None) -> str:
    needed = [f"{DISTRIBUTION}[hub]", *_third_parties(meta)]
    use = f"zoo sample {address} -o samples.png" if picture else f"zoo evaluate {address}"
    code = f'import zoo\n\nmodel = zoo.load("{address}")' + ("\nx = model.sample(16)" if picture else "")
    pin = (
        f"This opens the newest commit and prints which one it is; `{address.at('COMMIT')}` pins a commit. Opening "
        "the file executes no code from it."
    )
    commands = fenced(f"pip install {shlex.join(needed)}\n{use}", "sh")
    return f"## Open it\n\n{commands}\n\n{fenced(code, 'python')}\n\n{pin}"


def _third_parties(meta: Mapping[str, Any]) -> list[str]:
    """The pip requirements besides zoo. Invalid names are left out: the table of parts shows them."""
    found = {(str(part["distribution"]), str(part["version"])) for part in meta["components"]}
    sound = (pair for pair in found if _DISTRIBUTION.fullmatch(pair[0]) and _VERSION.fullmatch(pair[1]))
    return sorted(f"{distribution}=={version}" for distribution, version in sound if distribution != HOME)


def _figures(spec: Spec, metrics: Mapping[str, Any]) -> str:
    """The measured figures with their protocol, next to published ones."""
    measured = metrics.get("figures") or {}
    published: dict[str, list[str]] = {}
    for entry in spec.published:
        note = f"; {words(entry.note)}" if entry.note else ""
        published.setdefault(entry.metric, []).append(f"{entry.value:g} ({words(entry.source)}{note})")
    rows = [
        [words(name), *_measured(measured.get(name)), "; ".join(published.get(name, []))]
        for name in dict.fromkeys([*measured, *published])
    ]
    if not rows:
        return ""
    how = [words(shown(part)) for part in metrics.get("declared") or ()]
    protocol = f"On the {words(metrics.get('split'))} split, by {', '.join(how)}.\n\n" if measured else ""
    return f"## Figures\n\n{protocol}{table(['metric', 'this file', 'n', 'kind', 'published'], rows)}"


def _measured(figure: Any) -> list[str]:
    if figure is None:
        return ["not measured", "", ""]
    value = figure["value"]
    return ["not finite" if value is None else f"{value:.4f}", words(figure["n"]), words(figure["kind"])]


def _facts(meta: Mapping[str, Any], parameters: int) -> str:
    event = meta["event"]
    levels = f"{event['levels']} levels" if event["levels"] is not None else "real numbers"
    rows = {
        "parameters": f"{parameters:,}",
        "one example": f"{event['name']}, {' x '.join(map(str, event['shape']))}, {levels}",
        "trained for": f"{meta['step']} steps, seed {meta['seed']}",
        "data": meta["data"] or "none",
        "starts from": ", ".join(parents_in(meta["parent"])) or "scratch",
        "licence": meta["licence"] or "not specified; ask before you use it",
        "digest": meta["digest"],
    }
    return "## The file\n\n" + table(["", ""], [[name, words(value)] for name, value in rows.items()])


def _components(meta: Mapping[str, Any]) -> str:
    keys = ["kind", "name", "distribution", "version"]
    return "## Its parts\n\n" + table(keys, [[words(part[key]) for key in keys] for part in meta["components"]])
