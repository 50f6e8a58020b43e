"""Error messages and exit codes: the one place where exceptions are turned into messages.

What is foreseen is raised as a `ZooError` where it happens. What the system refuses (a folder in place of a file, no
permission, a full disk) has its sentence here. All else is a defect, of zoo or of a plugin: one line, with a file that
holds the traceback.
"""

from __future__ import annotations

import codecs
import errno
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .. import __version__
from ..errors import Interrupted, PluginError, UsageError, ZooError, of_system, without_addresses

DEBUG = "ZOO_DEBUG"
"""The environment's word for: show tracebacks."""
KEPT = 20
"""Reports that are kept, the newest."""

_USAGE = {errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP}
"""What another path mends."""


def prepare_streams() -> None:
    """Let every text be printed: an encoding that lacks a character shows its escape, a closed stream swallows."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="zoo")


def report(error: BaseException) -> int:
    """Print the message of an error; return the exit code."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    message, code = _message_of(error)
    if message:
        whole = ". ".join([message, *getattr(error, "__notes__", ())])
        with suppress(OSError, ValueError):  # a terminal that hung up
            lead = "" if isinstance(error, Interrupted) else "error: "  # who stops a run knows that it stopped
            print(f"{lead}{without_addresses(whole)}", file=sys.stderr, flush=True)
    return code


def _message_of(error: BaseException) -> tuple[str, int]:
    match error:
        case ZooError():
            return "" if error.reported else str(error), error.exit_code
        case KeyboardInterrupt():
            return "", 130
        case BrokenPipeError():
            return "", 1
        case OSError() if error.errno is not None or error.filename is not None:
            return of_system(error), UsageError.exit_code if error.errno in _USAGE else 1
        case _ if _lacks_memory(error):
            return "out of memory: lower train.batch, or the sizes of the model", 1
    return _of_defect(error)


def _lacks_memory(error: BaseException) -> bool:
    """Whether an error is lack of memory, including torch's own class for devices."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and "allocate memory" in str(error))


def _of_defect(error: BaseException) -> tuple[str, int]:
    words = str(error).strip().splitlines() or ["no reason given"]
    what = f"{type(error).__name__}: {words[0]}"
    file = _report(error)
    proof = str(file) if file is not None else f"the output of {DEBUG}=1"
    plugin = _plugin_in(error.__traceback__)
    if plugin is not None:
        return (
            f"the plugin {plugin} failed: {what}; please report it to its authors with {proof}",
            PluginError.exit_code,
        )
    return f"internal error: {what}; please report it with {proof}", 1


def _plugin_in(trace: TracebackType | None) -> str | None:
    """The plugin whose code ran last before the error; None for zoo's own code."""
    plugins = {"": ""}
    with suppress(Exception):
        from ..registry.discovery import found  # takes as long as all the rest of zoo --help

        plugins |= {one.module.partition(".")[0]: f"'{one.name}' ({one.distribution} {one.version})" for one in found()}
    own = __name__.partition(".")[0]
    for name, file in reversed(list(_frames(trace))):
        top = name.partition(".")[0]
        if top.startswith(f"{own}_beside_"):
            return file
        if top == own:
            return None
        if plugins.get(top):
            return plugins[top]
    return None


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, str]]:
    for frame, _ in traceback.walk_tb(trace):
        yield str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename


def _report(error: BaseException) -> Path | None:
    """Write a file with the details for a maintainer; None if it cannot be written."""
    import platform

    from ..storage.cache import cache_home

    torch = getattr(sys.modules.get("torch"), "__version__", "not imported")
    head = [
        f"zoo {__version__}, torch {torch}, Python {platform.python_version()}, {platform.platform()}",
        f"command: {sys.argv!r}",
    ]
    text = "\n".join([*head, "", "".join(traceback.format_exception(error))])
    folder = cache_home() / "reports"
    file = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
        for old in sorted(folder.glob("*.txt"))[:-KEPT]:
            old.unlink()
    except OSError:
        return None
    return file


def _in_escapes(error: UnicodeError) -> tuple[str | bytes, int]:
    """A byte of a name that is not UTF-8, or another character as an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    escaped = "\udc80" <= character <= "\udcff"
    return bytes([ord(character) - 0xDC00]) if escaped else ascii(character)[1:-1], error.start + 1


codecs.register_error("zoo", _in_escapes)
