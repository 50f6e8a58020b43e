"""Comments of YAML, broken into lines anew for a page that is narrower than an editor."""

from __future__ import annotations

import re
from textwrap import wrap

WIDTH = 94
FULL = 108
"""Columns: a line that its next word would bring beyond them was broken because it was full."""
_SCHEMA = "# yaml-language-server:"
_COMMENT = re.compile(r"(?P<indent> *)# (?P<text>\S.*)")


def narrowed(text: str, width: int = WIDTH) -> str:
    """A spec's text with the sentences of its comments in lines of at most this many columns.

    Lines that stand alone, as commands and rows of a table, are not joined with others. The line that names the schema
    for editors is left out.

    >>> print(narrowed("# One line.\\n" + f"# {'long ' * 22}\\n# end\\nname: x", 40))
    # One line.
    # long long long long long long long
    # long long long long long long long
    # long long long long long long long
    # long end
    name: x
    """
    lines = [line for line in text.splitlines() if not line.startswith(_SCHEMA)]
    shown: list[str] = []
    while lines:
        line = lines.pop(0)
        match = _COMMENT.fullmatch(line)
        if match is None:
            shown.append(line)
            continue
        indent, words = match["indent"], match["text"].rstrip()
        while lines and (more := _COMMENT.fullmatch(lines[0])) and _continues(line, indent, more):
            line = lines.pop(0)
            words += f" {more['text'].rstrip()}"
        lead = f"{indent}# "
        fits = len(lead + words) <= width
        broken = wrap(words, width - len(lead), break_on_hyphens=False, break_long_words=False)
        shown += [lead + part for part in ([words] if fits else broken)]
    return "\n".join(shown)


def _continues(line: str, indent: str, more: re.Match[str]) -> bool:
    """Whether a comment goes on in the next line: the line before had no room for the first word of it."""
    return more["indent"] == indent and len(line) + 1 + len(more["text"].split()[0]) > FULL
