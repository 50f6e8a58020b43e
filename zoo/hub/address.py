"""Addresses of share files on a hub: ``hf://OWNER/NAME``, or ``hf://OWNER/NAME@REVISION``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import UsageError

_WORD = r"\w(?:[\w.-]{0,94}\w)?"
_REPOSITORY = re.compile(f"{_WORD}/{_WORD}", re.ASCII)
_REVISION = re.compile(r"\w(?:[\w./-]{0,198}\w)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Address:
    """A repository at a commit, at a branch or tag, or, without a revision, at its newest.

    >>> address = Address("acme/realnvp", "v1")
    >>> str(address), address.pinned, address.at("0" * 40).pinned
    ('hf://acme/realnvp@v1', False, True)
    """

    repository: str
    revision: str | None = None

    def __post_init__(self) -> None:
        owner, _, name = self.repository.partition("/")
        odd = any(word in self.repository for word in ("--", "..")) or ".git" in (owner[-4:], name[-4:])
        if odd or not _REPOSITORY.fullmatch(self.repository):
            raise UsageError(f"invalid repository {self.repository!r}: expected OWNER/NAME")
        # A revision becomes part of a path in the cache.
        if self.revision is not None and (".." in self.revision or not _REVISION.fullmatch(self.revision)):
            raise UsageError(f"invalid revision {self.revision!r}: expected a commit, a branch or a tag")

    def __str__(self) -> str:
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision is not None else "")

    @property
    def pinned(self) -> bool:
        """Whether it names a commit, whose content never changes."""
        return is_commit(self.revision)

    def at(self, revision: str) -> Address:
        return replace(self, revision=revision)


def is_address(target: str | Path) -> bool:
    """Whether a text is meant as a hub address, well-formed or not: a `Path` turns ``hf://`` into ``hf:/``."""
    return str(target).startswith("hf:/")


def is_commit(revision: str | None) -> bool:
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def read_address(text: str) -> Address:
    """An address from its text; `zoo.UsageError` for an invalid one."""
    if not text.startswith("hf://"):
        raise UsageError(f"invalid address {text!r}: expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
    repository, at, revision = text.removeprefix("hf://").partition("@")
    return Address(repository, revision if at else None)
