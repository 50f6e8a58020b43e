"""Hub client for share files, through huggingface_hub, which is imported only when needed.

A hub is not believed. The announced size is bounded before the download, the content is compared with the commit's
hash, and the file is then opened by the strict reader like any other.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..distribution import install_hint
from ..errors import DamagedFile, PluginError, UsageError, ZooError
from .address import Address, is_commit, read_address
from .errors import Unreachable, answers, host

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoSibling

Say = Callable[[str], None]

FILE = "model.safetensors"
"""What a repository is asked for; nothing else of it is downloaded."""
MAX_BYTES = 16 << 30
TIMEOUT = 10.0
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_VERBOSITY": "error"}
"""What huggingface_hub reads of the environment when it is imported; what a user has set stays."""


def require() -> None:
    """Import huggingface_hub quietly; `zoo.PluginError` if that fails."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import huggingface_hub.hf_api  # noqa: F401
    except ImportError as error:
        raise PluginError(f"hubs require huggingface_hub: {install_hint('hub')} ({error})") from None


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def fetch(text: str, say: Say = _to_stderr) -> Path:
    """The file at an address, in the cache of huggingface_hub, yet to be opened by the strict reader.

    ``say`` gets a line on the commit if the address names none, on the download, and on the use of the cache without
    network. Raises `zoo.UsageError` if the file does not exist, `Unreachable` without network and cache,
    `zoo.DamagedFile` for a file that does not match what the hub announced.
    """
    address = read_address(text)
    require()
    found = _cached(address) if address.pinned else None
    if found is not None:
        return found
    try:
        with answers(str(address)):
            commit, file = _look_up(address)
    except Unreachable as away:
        return _instead(address, away, say)
    pinned = address.at(commit)
    action = f"using {pinned}" if _cached(pinned) else f"fetching {pinned}, {file.size:,} bytes"
    say(action if address.pinned else f"{address}: {action}")
    return _download(address, pinned, file)


def _look_up(address: Address) -> tuple[str, RepoSibling]:
    """The current commit of an address, and the hub's information on its share file."""
    info = _api().model_info(address.repository, revision=address.revision, files_metadata=True, timeout=TIMEOUT)
    commit = str(info.sha)
    if not is_commit(commit) or (address.pinned and commit != address.revision):
        raise DamagedFile(f"{address}: {host()} did not return a commit")
    file = next((file for file in info.siblings or () if file.rfilename == FILE), None)
    if file is None:
        raise UsageError(f"{address.at(commit)} has no {FILE}: it is not a zoo model")
    if file.size is None or _announced_hash(file) is None:
        raise DamagedFile(f"{address.at(commit)}: {host()} did not return the size and hash of its {FILE}")
    if file.size > MAX_BYTES:
        message = f"its {FILE} has {file.size:,} bytes, above the limit of {MAX_BYTES:,}"
        raise DamagedFile(f"{address.at(commit)}: {message}; download it yourself and use the local file")
    return commit, file


def _download(address: Address, pinned: Address, file: RepoSibling) -> Path:
    """The file in the cache, compared with the hash that the hub announced."""
    _require_etag(address, pinned)
    with answers(str(pinned)):
        bar: Any = _counting(file.size or 0)
        try:
            # By its name, not by its commit: so the cache learns what a branch was, for times without network.
            path = Path(_api().hf_hub_download(address.repository, FILE, revision=address.revision, tqdm_class=bar))
        except _TooMuch:
            raise DamagedFile(f"{pinned}: {host()} sent more than the {file.size:,} announced bytes") from None
        except OSError as error:
            if type(error) is not OSError or error.errno is not None:
                raise
            # This is how huggingface_hub says that other bytes came than were announced.
            raise DamagedFile(f"{pinned}: {host()} sent an incomplete {FILE}") from None
    if path.parent.name != pinned.revision:
        raise ZooError(f"{address} changed during the download; try again, or pin it: {pinned}")
    if _hash(path, file) != _announced_hash(file):
        for place in (path.resolve(), path):
            place.unlink(missing_ok=True)
        raise DamagedFile(f"{pinned}: checksum mismatch in the {FILE} that {host()} sent; it was removed")
    return path


class _TooMuch(Exception):
    """More bytes come than were announced."""


def _counting(most: int) -> type:
    """A progress bar, shown or not, that ends a download with more bytes than announced before they are written."""
    from huggingface_hub.utils.tqdm import tqdm

    class Counting(tqdm):
        came = 0.0

        def update(self, n: float | None = 1) -> Any:
            self.came += n or 0
            if self.came > most:
                raise _TooMuch
            return super().update(n)

    return Counting


def _require_etag(address: Address, pinned: Address) -> None:
    """DamagedFile unless the hub gives the file a name by which the cache can store it."""
    from huggingface_hub import hf_hub_url

    with answers(str(pinned)):
        url = hf_hub_url(address.repository, FILE, revision=address.revision)
        etag = _api().get_hf_file_metadata(url=url, timeout=TIMEOUT).etag
        if etag is None or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", etag):
            raise DamagedFile(
                f"{pinned}: {host()} returned no usable ETag for its {FILE}, under which downloads are cached"
            )


def _announced_hash(file: RepoSibling) -> str | None:
    """SHA-256 of a large file, git's own hash of a small one."""
    return file.lfs.sha256 if file.lfs is not None else file.blob_id


def _hash(path: Path, file: RepoSibling) -> str:
    total = hashlib.sha256() if file.lfs is not None else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as opened:
        while piece := opened.read(1 << 20):
            total.update(piece)
    return total.hexdigest()


def _cached(address: Address) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(address.repository, FILE, revision=address.revision)
    return Path(found) if isinstance(found, str) else None


def _instead(address: Address, away: Unreachable, say: Say) -> Path:
    """The cached file of an address whose hub does not answer."""
    found = _cached(address)
    if found is None:
        raise Unreachable(f"{away}, and it is not in the cache")
    say(f"{away}; using {address.at(found.parent.name)} from the cache")
    return found


def upload(
    address: Address, files: Mapping[str, Path | bytes], *, private: bool, message: str, say: Say = _to_stderr
) -> Address:
    """Upload files to a repository in one commit; repository and branch are created if missing."""
    require()
    from huggingface_hub import CommitOperationAdd

    api, repository = _api(), address.repository
    size = sum(len(content) if isinstance(content, bytes) else content.stat().st_size for content in files.values())
    say(f"pushing {', '.join(files)} to {address}, {size:,} bytes")
    with answers(str(address)):
        # None leaves it to what the owner has set for new repositories.
        api.create_repo(repository, private=private or None, exist_ok=True)
        if private and not api.model_info(repository, timeout=TIMEOUT).private:
            raise UsageError(f"{address} is already public; make it private there, or omit --private")
        if address.revision is not None:
            api.create_branch(repository, branch=address.revision, exist_ok=True)
        operations = [CommitOperationAdd(name, content) for name, content in files.items()]
        commit = api.create_commit(repository, operations, commit_message=message, revision=address.revision)
    return address.at(commit.oid)


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(library_name="zoo", library_version=__version__)
