"""Formulas of a page as MathML, which browsers set by themselves: no script, and nothing from another host."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from math_core import LatexToMathML

_FORMULA = re.compile(
    r'<span class="arithmatex">\\\((?P<inline>.*?)\\\)</span>'
    r'|<div class="arithmatex">\s*\\\[(?P<display>.*?)\\\]</div>',
    re.DOTALL,
)


class Formula(Exception):
    """A formula is not LaTeX; the message says why."""


def set_formulas(page: str) -> tuple[str, list[str]]:
    """HTML with the formulas of ``pymdownx.arithmatex`` as MathML, and the problems of those that cannot be set, which
    are unchanged.
    """
    problems: list[str] = []

    def put(match: re.Match[str]) -> str:
        display = match["display"] is not None
        latex = html.unescape(match["display"] if display else match["inline"]).strip()
        try:
            return mathml(latex, display)
        except Formula as wrong:
            problems.append(f"the formula {latex!r}: {wrong}")
            return f"<code>{html.escape(latex)}</code>"

    return _FORMULA.sub(put, page), problems


def mathml(latex: str, display: bool) -> str:
    r"""A formula in MathML; `Formula` if it is not LaTeX.

    >>> mathml(r"\sigma^2", display=False)
    '<math><msup><mi>σ</mi><mn>2</mn></msup></math>'
    """
    from math_core import LatexError

    try:
        return _converter().convert_with_local_state(latex, displaystyle=display)
    except LatexError as wrong:
        raise Formula(" ".join(str(wrong).split())) from None


@cache
def _converter() -> LatexToMathML:
    from math_core import LatexToMathML

    return LatexToMathML(fancy_error=False)
