"""Errors of a hub as messages for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import UsageError, ZooError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

LOGIN = "log in with `hf auth login`, or set HF_TOKEN"


class Unreachable(ZooError):
    """A hub gives no answer."""


def host() -> str:
    """The hub that huggingface_hub talks to."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


@contextmanager
def answers(what: str) -> Iterator[None]:
    """Context manager that turns errors of huggingface_hub and the libraries below it into one error of zoo."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        for cause in _causes(error):
            if isinstance(cause, HfHubHTTPError):
                raise _refusal(what, cause) from None
            if isinstance(cause, OfflineModeIsEnabled):
                raise Unreachable(f"{what}: HF_HUB_OFFLINE is set") from None
        if isinstance(error, OSError) and error.errno is not None:
            raise ZooError(f"{what}: {printable(str(error))}") from None
        *_, first = _causes(error)
        reason = f"{type(first).__name__}: {printable(str(first))}"
        raise Unreachable(f"{what}: no usable response from {host()} ({reason})") from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refusal(what: str, error: HfHubHTTPError) -> ZooError:
    """The message for an unsuccessful response, by what the user can do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return UsageError(f"{what} has restricted access: request it from the owner, and {LOGIN}")
    if isinstance(error, RepositoryNotFoundError):
        return UsageError(f"{what}: {host()} has no such repository, or it is private: {LOGIN}")
    if isinstance(error, RevisionNotFoundError):
        return UsageError(f"{what}: the repository has no such revision")
    status = error.response.status_code
    if status >= 500:
        return Unreachable(f"{what}: no usable response from {host()} (status {status})")
    said = printable(error.server_message or "") or f"status {status}"
    if status in (401, 403):
        return UsageError(f"{what}: {host()} denied access ({said}): {LOGIN}")
    return ZooError(f"{what}: {host()} refused the request ({said})")


def printable(text: str) -> str:
    """Untrusted text on one line of a terminal.

    >>> printable("one\\n\\x1b[31mtwo")
    'one [31mtwo'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
