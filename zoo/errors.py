"""Errors that a user can cause, each with the exit code of its family.

A `Mark` is a place in a text; a `Problem` is one error at one place. Errors of
declaration are collected and raised together, as one `SpecError`.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

SIMILAR = 0.6
"""How many of the letters of two words must agree for one to be taken for the other."""
MAX_LINE = 240
"""How much of a source line is shown."""
MAX_NAME = 120
"""How much of a file's path is shown."""

_SENTENCES = {
    errno.ENOENT: "{} does not exist",
    errno.EISDIR: "{} is a folder, expected a file",
    errno.ENOTDIR: "{} cannot exist: a part of its path is a file, expected a folder",
    errno.EEXIST: "{} already exists",
    errno.EACCES: "{}: no permission",
    errno.EPERM: "{}: no permission",
    errno.EROFS: "{}: its disk is read-only",
    errno.ENOSPC: "{}: no space left on its disk",
    errno.EDQUOT: "{}: your quota on its disk is used up",
    errno.ENAMETOOLONG: "{}: the name is too long",
    errno.ELOOP: "{} is a symbolic link that leads to itself",
    errno.EMFILE: "{}: too many files are open; raise the limit with 'ulimit -n'",
}


@dataclass(frozen=True)
class Source:
    """A text with a name: a spec file, or the words of one ``--set``."""

    name: str
    text: str = field(repr=False)
    path: Path | None = None
    """The file, where it is one."""

    def line(self, number: int) -> str:
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines()


@dataclass(frozen=True)
class Mark:
    """A place in a source; lines and columns count from one. An alias knows where its anchor stands."""

    source: Source
    line: int
    column: int
    anchor: Mark | None = None

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    def caret(self) -> str:
        """The source line with a caret under the place."""
        text = "".join(c if c.isprintable() else " " for c in self.source.line(self.line))
        if not text.strip():
            return ""
        # Of a very long line only what is near the place.
        start = max(0, self.column - 1 - MAX_LINE // 2) if len(text) > MAX_LINE else 0
        return f"    {text[start : start + MAX_LINE]}\n    {' ' * (self.column - 1 - start)}^"


@dataclass(frozen=True)
class Problem:
    """One error: its place, its path in the spec, and the message."""

    mark: Mark | None
    path: str
    message: str

    def __str__(self) -> str:
        place = "  ".join(str(part) for part in (self.mark, self.path) if part)
        message = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in self.message)
        head = f"{place}  {message}" if place else message
        if self.mark is None:
            return head
        if self.mark.anchor is not None:
            head += f" (declared at the anchor in line {self.mark.anchor.line})"
        return "\n".join(text for text in (head, self.mark.caret()) if text)


class ZooError(Exception):
    """A failure with a message for the user, not for the programmer."""

    exit_code = 1
    reported = False
    """Whether another process of the same run has reported the error already."""
    agreed = False
    """Whether every process of the same run raises it, at the same place."""

    def and_then(self, sentence: str) -> None:
        """Add a sentence to the message."""
        self.args = (f"{str(self).rstrip('.')}. {sentence}",)


class UsageError(ZooError):
    """The command or the call asks for something that cannot be."""

    exit_code = 2


class SpecError(UsageError):
    """A declaration is wrong; all its problems at once."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = (problems,) if isinstance(problems, Problem) else _distinct(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataError(UsageError):
    """Data that a spec names is missing, or does not match the spec."""


SLOWER = "Try a lower learning rate, train.clip, or a longer warm-up."
UNTRAINED = "No step was taken before, so the learning rate is not the cause: check the data, and how that part starts."


class Diverged(ZooError):
    """A loss became NaN or infinite."""

    exit_code = 3

    def __init__(
        self, step: int, terms: Sequence[str], reported: bool = False, first: str = "", advice: str | None = None
    ) -> None:
        self.step, self.terms, self.reported = step, tuple(terms), reported
        names = ", ".join(f"'{term}'" for term in terms)
        advice = advice or (UNTRAINED if step == 0 else SLOWER)
        super().__init__(
            f"training diverged at step {step}: {names} became NaN or infinite{first and f', first in {first}'}; the "
            f"weights before that step are untouched. {advice}"
        )

    def since(self, first: str, advice: str | None = None) -> Diverged:
        """The same error with the cause: the first part of the model, or row of the batch, with NaN or infinity."""
        return Diverged(self.step, self.terms, self.reported, first, advice)


class NeverFinite(Diverged):
    """No validation gave a finite figure to choose weights by."""

    def __init__(self, step: int, figure: str, validations: int, reported: bool = False) -> None:
        super().__init__(step, [figure], reported)
        self.args = (
            f"none of {validations} validations up to step {step} gave a finite '{figure}', by which train.best "
            "chooses the weights. Try a lower learning rate, or choose the weights by another figure",
        )


class PluginError(ZooError):
    """A plugin is missing, broken, or in conflict with another."""

    exit_code = 4


class DamagedFile(ZooError):
    """A file is damaged, or not of its stated format."""

    exit_code = 5


class Interrupted(ZooError):
    """A signal asked the run to stop; its state is saved."""

    def __init__(self, signal: int, run: str, step: int, reported: bool = False) -> None:
        self.exit_code, self.reported = 128 + signal, reported
        super().__init__(f"saved at step {step}; resume with: zoo train --resume {run}")


def nearest(word: str, among: Iterable[str], missing: Sequence[str] = ()) -> str:
    """A hint that names the closest of the known words, or lists them if they are few.

    Close is a name with this word among its own, or much of its letters; what is ``missing`` goes before the others.

    >>> nearest("spline", ["affine", "rational_quadratic_spline"])
    "; did you mean 'rational_quadratic_spline'?"
    >>> nearest("size", ["width", "depth"]), nearest("size", ["width", "depth"], missing=["width"])
    ('; known: depth, width', "; 'width' is missing")
    """
    known = sorted(set(among))
    close = _close(word, sorted(missing)) or _close(word, known)
    if close:
        return f"; did you mean '{close}'?"
    if missing:
        return f"; {listed([repr(name) for name in missing])} {'is' if len(missing) == 1 else 'are'} missing"
    if 0 < len(known) <= 16:
        return "; known: " + ", ".join(known)
    return ""


def _close(word: str, known: Sequence[str]) -> str | None:
    found = [name for name in known if word in re.split(r"[_.-]", name) or name == word.rpartition(".")[2]]
    return next(iter(found or difflib.get_close_matches(word, known, n=1, cutoff=SIMILAR)), None)


def of_system(error: OSError) -> str:
    """The system's error as a sentence that names the file.

    >>> of_system(IsADirectoryError(errno.EISDIR, "Is a directory", "rows.csv"))
    'rows.csv is a folder, expected a file'
    """
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    where = " -> ".join(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..." for name in names)
    sentence = _SENTENCES.get(error.errno or 0, f"{{}}: {error.strerror or error}")
    return sentence.format(where or "standard output")


def without_addresses(text: str) -> str:
    """A text without memory addresses of objects, which differ from run to run.

    >>> without_addresses("cannot identify <_io.BytesIO object at 0x7f12ab>")
    'cannot identify <_io.BytesIO object>'
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> listed(["one"]), listed(["one", "two", "three"])
    ('one', 'one, two and three')
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def a(noun: str) -> str:
    """A noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _distinct(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems in reading order, one for each text: an alias repeats the problems of its anchor."""
    seen: dict[tuple[object, ...], Problem] = {}
    for problem in sorted(problems, key=_reading_order):
        mark = problem.mark
        home = (mark.anchor or mark) if mark else None
        place = (home.source.name, home.line, home.column) if home else (problem.path,)
        seen.setdefault((*place, problem.message), problem)
    return tuple(seen.values())


def _reading_order(problem: Problem) -> tuple[str, int, int]:
    mark = problem.mark
    return (mark.source.name, mark.line, mark.column) if mark else ("", 0, 0)
