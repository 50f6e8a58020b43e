"""Formulas of a page as MathML, which browsers set by themselves: no script, and nothing from another host."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from math_core import LatexToMathML


class Formula(Exception):
    """A formula is not LaTeX; the message says why."""


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
