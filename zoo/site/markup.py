"""Markdown of a page as HTML: tables, code in colours, formulas as MathML, and an anchor for each heading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .mathml import Formula, mathml

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LIGHT, DARK = "default", "github-dark"
"""Pygments styles of code."""


def html_of(text: str) -> tuple[str, list[str]]:
    r"""Markdown as HTML, and the problems of formulas that cannot be set, which stay as they are.

    Links to pages of Markdown lead to those of HTML, and the anchor of a heading is its text as GitHub makes it.

    >>> html_of("## The *first* part\n\n[$x^2$](other.md#end)")[0].splitlines()[0]
    '<h2 id="the-first-part">The <em>first</em> part<a class="anchor" href="#the-first-part">#</a></h2>'
    >>> html_of("[$x^2$](other.md#end)")[0]
    '<p><a href="other.html#end"><math><msup><mi>x</mi><mn>2</mn></msup></math></a></p>\n'
    """
    problems: list[str] = []
    tokens = _parser().parse(text)
    _anchor(tokens)
    for token in _all(tokens):
        if token.type == "link_open":
            token.attrSet("href", _to_html(str(token.attrGet("href"))))
    page = _parser().renderer.render(tokens, _parser().options, {"problems": problems})
    return page, problems


def highlighting() -> str:
    """The style sheet of code, for light and dark screens."""
    from pygments.formatters import HtmlFormatter

    formatters = (HtmlFormatter(style=style) for style in (LIGHT, DARK))
    light, dark = (formatter.get_style_defs("pre code") for formatter in formatters)  # type: ignore[no-untyped-call]
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("js-default", {"html": True})  # CommonMark, and tables
    parser.use(dollarmath_plugin, allow_space=False, allow_labels=False)
    parser.add_render_rule("math_inline", _set(display=False))
    parser.add_render_rule("math_block", _set(display=True))
    parser.add_render_rule("fence", _code)
    return parser


def _set(display: bool) -> Callable[..., str]:
    """The rule that sets formulas between lines, or in one."""

    def rule(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        latex = tokens[index].content.strip()
        try:
            return mathml(latex, display)
        except Formula as wrong:
            env["problems"].append(f"the formula {latex!r}: {wrong}")
            return f"<code>{escape(latex, quote=False)}</code>"

    return rule


def _code(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A block of code in colours; a line that is too long goes on below, deeper than it began."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    language, text = tokens[index].info.strip().partition(" ")[0] or "text", tokens[index].content
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text", stripnl=False)
    coloured = highlight(text, lexer, HtmlFormatter(nowrap=True)).removesuffix("\n").split("\n")
    lines = zip(text.removesuffix("\n").split("\n"), coloured, strict=True)
    shown = "".join(f'<span class="line" style="--in:{_indent(line)}ch">{html}\n</span>' for line, html in lines)
    return f'<pre class="{escape(language)}"><code>{shown}</code></pre>\n'


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _all(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _all(token.children or [])


def _anchor(tokens: Sequence[Token]) -> None:
    """Add an anchor to each heading, and a link to it."""
    from markdown_it.token import Token

    given: set[str] = set()
    for heading, inline in pairwise(tokens):
        if heading.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or [])
        slug = name = re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-")
        while name in given:
            name = f"{slug}-{len(given)}"
        given.add(name)
        heading.attrSet("id", name)
        if heading.tag != "h1" and inline.children is not None:
            inline.children.append(Token("html_inline", "", 0, content=f'<a class="anchor" href="#{name}">#</a>'))


def _to_html(address: str) -> str:
    """The address of a page of the site, wherever it is written as one of Markdown."""
    return address if re.match(r"[a-z]+:", address) else re.sub(r"\.md(?=$|#)", ".html", address)
