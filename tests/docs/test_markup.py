"""Docstrings become Markdown, and the formulas in it MathML."""

from __future__ import annotations

import pytest

from zoo.catalogue.markdown import markdown
from zoo.site.mathml import Formula, mathml, set_formulas

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
    page = rf'<p><span class="arithmatex">\({latex}\)</span> <span class="arithmatex">\(x\)</span></p>'
    text, problems = set_formulas(page)
    assert text == f"<p><code>{latex}</code> <math><mi>x</mi></math></p>"
    assert len(problems) == 1 and repr(latex) in problems[0]
