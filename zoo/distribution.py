"""Names of zoo: the package, its distribution on package indexes, and its name in recorded files."""

from __future__ import annotations

import shlex

DISTRIBUTION = "generative-zoo"
"""What package indexes call zoo: there ``zoo`` is another project. It is imported, and called, as ``zoo``."""
WEIGHTS = f"{DISTRIBUTION}-weights"
"""The distribution of trained weights of zoo's own specs; an extra, ``weights``, installs it."""
HOME = "zoo"
"""How zoo itself is recorded among the distributions that bring components, whatever a package index calls it."""


def requirement(distribution: str, version: str) -> str:
    """The pip requirement for a recorded distribution, safe in a shell.

    >>> requirement("zoo-acme", "1.0"), requirement("zoo", "0.1.0")
    ('zoo-acme==1.0', 'generative-zoo==0.1.0')
    """
    return shlex.quote(f"{DISTRIBUTION if distribution == HOME else distribution}=={version}")


def install_hint(extra: str) -> str:
    """The line that installs the packages of one of zoo's extras.

    >>> install_hint("ode")
    "pip install 'generative-zoo[ode]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"
