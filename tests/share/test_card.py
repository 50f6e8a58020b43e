"""The model card: what it says, and that no word of a share file becomes anything but a word."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from zoo.catalogue.markdown import fenced
from zoo.export.model_card import LICENCES, card, words
from zoo.hub.address import Address
from zoo.spec import load_spec

SPEC: dict[str, Any] = {
    "name": "a_shared-one",
    "description": "plain",
    "published": [{"metric": "nll", "value": 3.49, "source": "somebody", "note": "a note"}],
    "data": "digits",
    "model": {"type": "flow", "base": "standard_normal", "transforms": ["squeeze"], "dequantize": "uniform"},
    "train": {"steps": 2, "batch": 16, "optimizer": "adam"},
    "evaluate": ["bits_per_dim"],
}
META: dict[str, Any] = {
    "event": {"name": "image", "shape": [1, 8, 8], "levels": 17},
    "components": [
        {"kind": "model", "name": "flow", "distribution": "zoo", "version": "0.1.0"},
        {"kind": "bijection", "name": "acme.spline", "distribution": "zoo-acme", "version": "1.2"},
        {"kind": "mask", "name": "acme.stripes", "distribution": "zoo-acme", "version": "1.2"},
    ],
    "data": "sha256:abc",
    "seed": 7,
    "step": 1000,
    "metrics": {
        "split": "test",
        "declared": [{"type": "bits_per_dim", "draws": 10}],
        "figures": {"nll": {"value": 1.91523, "n": 360, "kind": "bound"}, "fid": {"value": None, "n": 9, "kind": "x"}},
    },
    "parent": None,
    "licence": "CC-BY-4.0",
    "digest": "sha256:def",
}
ADDRESS = Address("acme/shared", "main")
HOSTILE = [
    "a | b |\n| c",
    "```\n# a heading\n```",
    "````` `x` ``y``",
    "---\n\n# a heading\n\n* * *\n- a list\n1. another",
    "</td></table><script>alert(1)</script><!-- <img src=x onerror=y>",
    "[a link](http://x) ![a picture](y) <http://z> [b]: http://x",
    "**bold** _it_ __b__ ~~gone~~ $x$ \\( \\| \\` \\",
    "&lt;b&gt; &#60;b&#62; &amp;",
    "one\r\ntwo\u2028three\u2029four\x0bfive\x85six\u202eseven\x1b[31m",
    "'\"; rm -rf / #: {}[]&*!%@ \t- x: y",
    "",
]


def text_of(spec: dict[str, Any], meta: dict[str, Any], picture: str | None = "samples.png") -> str:
    return card(load_spec(spec), meta, ADDRESS, parameters=12345, picture=picture)


def parts(text: str) -> tuple[Any, str]:
    """The values before a card, as any reader of front matter finds them, and the markdown."""
    _, front, body = re.split(r"^---\s*$", text, maxsplit=2, flags=re.MULTILINE)
    return yaml.safe_load(front), body


def skeleton(body: str) -> list[tuple[str, str]]:
    """What a card consists of, without its words."""
    found = []
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(body):
        found.append((token.type, token.tag))
        found += [(child.type, str(child.attrs)) for child in token.children or () if child.type != "text"]
    return found


def with_words(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The spec and metadata, with a stranger's words wherever words can be."""
    said = "nll" if "\x1b" in text else text  # no spec may hold controls
    published = [{"metric": said or "nll", "value": 3.49, "source": said, "note": said or "x"}]
    figures = {said: {"value": 1.0, "n": 3, "kind": text}, "fid": {"value": None, "n": text, "kind": text}}
    metrics = {"split": text, "declared": [{"type": text, text: [text]}], "figures": figures}
    odd = {"kind": text, "name": text, "distribution": text, "version": text}
    facts = {"data": text, "parent": text, "licence": text, "digest": text, "step": text, "seed": text}
    spec = SPEC | {"description": said or "x", "published": published}
    return spec, META | facts | {"metrics": metrics, "components": [*META["components"], odd]}


@pytest.fixture(scope="module")
def plain() -> tuple[Any, str]:
    return parts(text_of(*with_words("plain")))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_words_stay_words(text: str, plain: tuple[Any, str]) -> None:
    values, body = parts(text_of(*with_words(text)))
    wanted, plain_body = plain
    found = skeleton(body)
    # A metric of an empty name is not the one that is published.
    assert found == skeleton(plain_body) or text == ""
    assert not {kind for kind, _ in found} & {"html_inline", "html_block", "link_open", "em_open", "s_open"}
    assert [kind for kind, _ in found].count("image") == 1
    assert values.keys() == wanted.keys()
    assert values | {"license_name": ""} == wanted | {"license_name": ""}
    assert re.fullmatch(r"[a-z0-9.-]+", values["license_name"])
    assert all(c.isprintable() or c == "\n" for c in text_of(*with_words(text)))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_words_are_read_as_they_were(text: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| x {words(text)} | y |\n"
    cells = [t for t in MarkdownIt("commonmark").enable("table").parse(table) if t.type == "inline"]
    read = ["".join(child.content for child in cell.children or ()).split() for cell in cells[2:]]
    assert read == [["x", *"".join(c if c.isprintable() else " " for c in text).split()], ["y"]]


def test_words_are_not_endless() -> None:
    assert len(words("a" * 10_000)) < 1100


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_code_stays_code(text: str) -> None:
    (token,) = MarkdownIt("commonmark").parse(fenced(f"{text}\nend", "yaml"))
    assert (token.type, token.info) == ("fence", "yaml")
    assert token.content.endswith("\nend\n")


def test_the_spec_in_it_is_the_spec() -> None:
    spec = SPEC | {"description": "```\n# no end\n```"}
    code = [t for t in MarkdownIt("commonmark").parse(parts(text_of(spec, META))[1]) if t.info == "yaml"]
    assert load_spec(yaml.safe_load(code[0].content)).resolved() == load_spec(spec).resolved()


def test_what_it_says() -> None:
    values, body = parts(text_of(SPEC, META))
    assert values == {
        "library_name": "zoo",
        "license": "cc-by-4.0",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["zoo", "generative-model", "flow", "image"],
    }
    for told in (
        "a\\_shared-one: plain",
        "pip install 'generative-zoo[hub]' zoo-acme==1.2\n",
        "zoo sample hf://acme/shared@main -o samples.png",
        'zoo.load("hf://acme/shared@main")',
        "`hf://acme/shared@COMMIT`",
        "On the test split, by {type: bits\\_per\\_dim, draws: 10}.",
        "| nll | 1.9152 | 360 | bound | 3.49 (somebody; a note) |",
        "| fid | not finite | 9 | x |  |",
        "| parameters | 12,345 |",
        "| one example | image, 1 x 8 x 8, 17 levels |",
        "| trained for | 1000 steps, seed 7 |",
        "| data | sha256:abc |",
        "| starts from | scratch |",
        "| licence | CC-BY-4.0 |",
        "| digest | sha256:def |",
        "| bijection | acme.spline | zoo-acme | 1.2 |",
        "type: squeeze\n",
    ):
        assert told in body, told


def test_what_was_not_measured_is_not_said() -> None:
    assert "## Figures" not in text_of(SPEC | {"published": []}, META | {"metrics": {}})
    body = text_of(SPEC, META | {"metrics": {}})
    assert "| nll | not measured |  |  | 3.49 (somebody; a note) |" in body
    assert "split" not in body.split("## The file")[0]


def test_an_image_is_no_image_without_a_picture() -> None:
    assert "pipeline_tag" not in parts(text_of(SPEC, META, picture=None))[0]
    point = META | {"event": {"name": "point", "shape": [2], "levels": None}}
    values, body = parts(text_of(SPEC, point))
    assert "pipeline_tag" not in values
    assert "| one example | point, 2, real numbers |" in body


@pytest.mark.parametrize(
    ("licence", "values"),
    [
        (None, {}),
        ("MIT", {"license": "mit"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("GPL-3.0-or-later", {"license": "other", "license_name": "gpl-3.0-or-later"}),
        ("mit\n---\n# x", {"license": "other", "license_name": "mit-x"}),
        ("null", {"license": "other", "license_name": "null"}),
        ("--", {"license": "other", "license_name": "other"}),
    ],
)
def test_licences(licence: str | None, values: dict[str, str]) -> None:
    found, body = parts(text_of(SPEC, META | {"licence": licence}))
    assert {key: found[key] for key in found if key.startswith("license")} == values
    assert ("not specified" in body) == (licence is None)
    assert all(known == known.lower() for known in LICENCES)


@pytest.mark.parametrize(
    ("distribution", "version"), [("a; rm -rf /", "1"), ("a", "1 --index-url http://x"), ("-r", "1"), ("a$(b)", "1")]
)
def test_pip_is_asked_for_nothing_odd(distribution: str, version: str) -> None:
    odd = {"kind": "mask", "name": "odd", "distribution": distribution, "version": version}
    assert "\npip install 'generative-zoo[hub]'\n" in text_of(SPEC, META | {"components": [odd]})
