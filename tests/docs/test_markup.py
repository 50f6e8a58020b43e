"""Docstrings become Markdown, and Markdown HTML: formulas as MathML, code in colours, anchors, checked links."""

from __future__ import annotations

import re
from html import unescape

import pytest

from zoo.catalogue.markdown import markdown
from zoo.site.markup import html_of
from zoo.site.mathml import Formula, mathml
from zoo.site.reading import broken, read

DOCSTRING = r"""
Splines :math:`s_1 * s_2` of `knots`, see :class:`~zoo.Shape` and ``a_b``; x_i * y_i < 3 costs $5.

.. math::

    z = \sum_j
        x_j

So::

    one = 1

    two = 2

Args:
    width: The units of a layer,
        :math:`n`.

- first *one*,
  which goes on
- second

References: Somebody, 2020, arXiv:2001.00001, `code <there>`_.

>>> 1

>>> 2
"""
WRITTEN = r"""
Splines $s_1 * s_2$ of [`knots`](knots.md), see `zoo.Shape` and `a_b`; x\_i \* y\_i &lt; 3 costs \$5.

$$
z = \sum_j x_j
$$

So:

```python
one = 1

two = 2
```

**Arguments.**

- `width`: The units of a layer, $n$.

- first \*one\*, which goes on
- second

**References.** Somebody, 2020, [arXiv:2001.00001](https://arxiv.org/abs/2001.00001), [code](there).

```pycon
>>> 1

>>> 2
```
"""


def test_a_docstring_is_markdown() -> None:
    assert markdown(DOCSTRING, {"knots": "knots.md"}) == WRITTEN.strip()


@pytest.mark.parametrize("latex", [r"\frac{a}", r"\nosuch{x}", "a_{b", r"\left( x"])
def test_what_is_no_formula_is_told(latex: str) -> None:
    with pytest.raises(Formula):
        mathml(latex, display=True)
    text, problems = html_of(f"${latex}$ $x$")
    assert text == f"<p><code>{latex}</code> <math><mi>x</mi></math></p>\n"
    assert len(problems) == 1 and repr(latex) in problems[0]


def test_dollars_that_are_no_formula_stay() -> None:
    text, problems = html_of(r"From \$5 to $6, `a $b$`, and $ y $.")
    assert text == "<p>From $5 to $6, <code>a $b$</code>, and $ y $.</p>\n" and not problems


def test_lines_of_code_know_how_deep_they_begin() -> None:
    """So that a long line goes on deeper; what is copied is the code, with every line break."""
    code = "a:\n\n    b: '<x> & y'  # long\n"
    html, _ = html_of(f"```yaml\n{code}```")
    assert re.findall(r'class="line" style="--in:(\d+)ch"', html) == ["0", "0", "4"]
    assert unescape(re.sub("<[^>]+>", "", html)) == f"{code}\n"
    assert html_of("```nosuch\n<x>\n```")[0].count("&lt;x&gt;") == 1


def test_headings_have_anchors_of_their_own() -> None:
    html, _ = html_of("# One `a_b`\n\n## Same\n\n## Same\n\n### x*y* + 1\n")
    assert re.findall(r' id="([^"]*)"', html) == ["one-a_b", "same", "same-2", "xy--1"]
    assert html.count('class="anchor"') == 3


PAGES = {
    "index.md": "# Start\n\n[a](deep/a.md) [b](deep/a.md#part) ![p](p.png) [w](https://x.org/no.md#there) [s](#start)",
    "deep/a.md": "# A\n\n## Part\n\n[up](../index.md#start)",
}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[a](nothing.md)", "deep/a.html: 'nothing.html' leads to no page or file of the site"),
        ("![a](p.png)", "deep/a.html: 'p.png' leads to no page or file of the site"),
        ("[a](../index.md#end)", "deep/a.html: '../index.html#end' leads to no anchor of index.html"),
        ("[a](#end)", "deep/a.html: '#end' leads to no anchor of deep/a.html"),
        ("[a](/index.md)", "deep/a.html: the address '/index.html' must be relative to its page"),
        (
            '<a href="../nothing.html"><b>x</b></a>',
            "deep/a.html: '../nothing.html' leads to no page or file of the site",
        ),
    ],
)
def test_links_that_lead_nowhere_are_found(written: str, message: str) -> None:
    def problems(pages: dict[str, str]) -> list[str]:
        readings = {page.replace(".md", ".html"): read(html_of(text)[0]) for page, text in pages.items()}
        return list(broken(readings, ["p.png"]))

    assert not problems(PAGES)
    assert problems(PAGES | {"deep/a.md": f"# A\n\n## Part\n\n{written}"}) == [message]


def test_words_of_a_page_are_read_by_section() -> None:
    text = (
        "# T\n\nfirst $x^2$\n\n## S\n\n- `a_b`\n- c\n\n<details><summary>more</summary>\n\nhidden\n\n</details>\n\nlast"
    )
    found = read(html_of(text)[0]).sections
    assert [(s.level, s.title, s.text) for s in found] == [(1, "T", "first"), (2, "S", "a_b c last")]
    assert [(s.level, s.title, s.text) for s in read("<p>No heading</p>").sections] == [(1, "", "No heading")]
