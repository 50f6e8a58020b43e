"""A hub on 127.0.0.1: as much of one as huggingface_hub asks for when a file is pushed and fetched. It can lie."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_a_secret_of_the_tests"
LICENCES = {"cc-by-4.0", "mit", "other"}

Files = dict[str, bytes]


class Refused(Exception):
    """An answer that is no success: a status, and the code by which hubs name it."""

    def __init__(self, status: int, code: str = "", **body: Any) -> None:
        super().__init__(status)
        self.status, self.code, self.body = status, code, body


@dataclass
class Repository:
    """Branches, and the files of each commit."""

    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Files] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: Files) -> str:
        parent = self.branches.get(branch, "")
        told = json.dumps([parent, {name: _sha256(content) for name, content in files.items()}])
        commit = hashlib.sha1(told.encode()).hexdigest()
        self.commits[commit] = self.commits.get(parent, {}) | files
        self.branches[branch] = commit
        return commit

    def find(self, revision: str) -> str:
        commit = self.branches.get(revision, revision)
        if commit not in self.commits:
            raise Refused(404, "RevisionNotFound")
        return commit


@dataclass(frozen=True)
class Request:
    """What was asked, and by whom."""

    method: str
    path: str
    authorization: str | None
    agent: str


class HubServer(ThreadingHTTPServer):
    """Serves until it is closed; everything is in memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.gone = False
        self.sends: Callable[[bytes], bytes] = lambda content: content
        """What goes out instead of a file's content, under its size and hash."""
        self.tells: Callable[[dict[str, Any]], dict[str, Any]] = lambda file: file
        """What is told of a file instead of the truth."""
        self.etag: str | None = None
        """What is told as the ETag of every file instead of the truth."""
        self.streams: int | None = None
        """How many bytes are sent of every file, without saying so before."""
        self.sent = 0
        """Bytes that were sent of files without a length."""
        self.elsewhere: str | None = None
        """A host to which large files are redirected, as hubs do."""
        self.commit: str | None = None
        """What is told as the commit of everything instead of the truth."""
        self.refuses: dict[str, Refused] = {}
        """Answers to all paths that start so."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        """What is connected is cut off, and nothing connects again."""
        self.gone = True
        self.shutdown()
        self.server_close()

    def put(self, name: str, files: Files, *, branch: str = "main", private: bool = False) -> str:
        """Files that are simply there; the commit."""
        return self.repositories.setdefault(name, Repository(private)).commit(branch, files)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubServer

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self) -> None:
        if self.server.gone:
            self.close_connection = True
            return
        agent = self.headers.get("user-agent", "")
        self.server.requests.append(Request(self.command, self.path, self.headers.get("authorization"), agent))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        try:
            path = unquote(urlsplit(self.path).path)
            for start, refused in self.server.refuses.items():
                if path.startswith(start):
                    raise refused
            for method, pattern, act in ROUTES:
                if self.command in method and (found := re.fullmatch(pattern, path)):
                    act(self, body, *found.groups())
                    return
            raise Refused(404, "EntryNotFound")
        except Refused as refused:
            headers = {"X-Error-Code": refused.code} if refused.code else {}
            self.send(refused.status, json.dumps(refused.body).encode(), headers)

    do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def stream(self, size: int, headers: dict[str, str]) -> None:
        """As many bytes, in pieces, until the other side has enough."""
        self.send_response(200)
        for name, value in (headers | {"Transfer-Encoding": "chunked"}).items():
            self.send_header(name, value)
        self.end_headers()
        piece = b"x" * (1 << 20)
        self.close_connection = True
        with suppress(OSError):
            while self.server.sent < size:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.server.sent += len(piece)
            self.wfile.write(b"0\r\n\r\n")

    def say(self, **value: Any) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def known(self) -> bool:
        return self.headers.get("authorization") == f"Bearer {TOKEN}"

    def must_be_known(self) -> None:
        if not self.known():
            raise Refused(401, error="Invalid username or password.")

    def repository(self, name: str) -> Repository:
        found = self.server.repositories.get(name)
        if found is None or (found.private and not self.known()):
            raise Refused(404 if self.known() else 401, "RepoNotFound")
        return found

    # -- to fetch ------------------------------------------------------------------------------------------------------

    def info(self, body: bytes, name: str, revision: str | None) -> None:
        repository = self.repository(name)
        commit = repository.find(revision or "main")
        siblings = [self.server.tells(_told(path, data)) for path, data in repository.commits[commit].items()]
        self.say(id=name, sha=self.server.commit or commit, private=repository.private, siblings=siblings)

    def resolve(self, body: bytes, name: str, revision: str, path: str) -> None:
        repository = self.repository(name)
        commit = repository.find(revision)
        if path not in repository.commits[commit]:
            raise Refused(404, "EntryNotFound")
        content = repository.commits[commit][path]
        etag = _sha256(content) if _large(path) else _git_hash(content)
        etag = etag if self.server.etag is None else self.server.etag
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        if self.server.elsewhere is not None:
            headers |= {"X-Linked-Etag": f'"{etag}"', "Location": f"{self.server.elsewhere}/storage/{etag}"}
            self.send(302, b"", headers)
        elif self.server.streams is not None and self.command == "GET":
            self.stream(self.server.streams, headers)
        else:
            self.send(200, self.server.sends(content), headers)

    def load(self, body: bytes, oid: str) -> None:
        self.send(200, self.server.sends(self.server.stored[oid]), {})

    # -- to push -------------------------------------------------------------------------------------------------------

    def create(self, body: bytes) -> None:
        self.must_be_known()
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] == "others":
            raise Refused(403, error="You have no rights \x1b[31mthere.")
        if name in self.server.repositories:
            raise Refused(409, url=f"{self.server.url}/{name}")
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.server.put(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, private=private)
        self.say(url=f"{self.server.url}/{name}")

    def branch(self, body: bytes, name: str, branch: str) -> None:
        self.must_be_known()
        branches = self.repository(name).branches
        if branch in branches:
            raise Refused(409)
        branches[branch] = branches["main"]
        self.say()

    def check_card(self, body: bytes) -> None:
        _, front, _ = re.split(r"^---$", json.loads(body)["content"], maxsplit=2, flags=re.MULTILINE)
        if yaml.safe_load(front).get("license", "mit") not in LICENCES:
            raise Refused(400, errors=[{"message": '"license" must be one of a list'}], warnings=[])
        self.say(errors=[], warnings=[])

    def preupload(self, body: bytes, name: str, branch: str) -> None:
        self.must_be_known()
        repository = self.repository(name)
        there = repository.commits[repository.find(branch)]
        files = []
        for path in (file["path"] for file in json.loads(body)["files"]):
            mode = "lfs" if _large(path) else "regular"
            hash_of = _sha256 if _large(path) else _git_hash
            oid = hash_of(there[path]) if path in there else None
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.say(files=files)

    def batch(self, body: bytes, name: str) -> None:
        self.must_be_known()
        objects = [
            {**asked, "actions": {"upload": {"href": f"{self.server.url}/storage/{asked['oid']}"}}}
            for asked in json.loads(body)["objects"]
        ]
        self.say(transfer="basic", objects=objects)

    def store(self, body: bytes, oid: str) -> None:
        if _sha256(body) != oid:
            raise Refused(400)
        self.server.stored[oid] = body
        self.say()

    def commit(self, body: bytes, name: str, branch: str) -> None:
        self.must_be_known()
        files: Files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.repository(name).messages.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
        commit = self.repository(name).commit(branch, files)
        self.say(commitUrl=f"{self.server.url}/{name}/commit/{commit}", commitOid=commit, success=True)


NAME = r"([^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET", rf"/api/models/{NAME}(?:/revision/(.+))?", _Handler.info),
    ("GET HEAD", rf"/{NAME}/resolve/(.+)/([^/]+)", _Handler.resolve),
    ("GET HEAD", r"/storage/(\w+)", _Handler.load),
    ("PUT", r"/storage/(\w+)", _Handler.store),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", rf"/api/models/{NAME}/branch/(.+)", _Handler.branch),
    ("POST", r"/api/validate-yaml", _Handler.check_card),
    ("POST", rf"/api/models/{NAME}/preupload/(.+)", _Handler.preupload),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    ("POST", rf"/api/models/{NAME}/commit/(.+)", _Handler.commit),
]


def _told(path: str, content: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": _git_hash(content)}
    if _large(path):
        told["lfs"] = {"sha256": _sha256(content), "size": len(content), "pointerSize": 130}
    return told


def _large(path: str) -> bool:
    return path.endswith(".safetensors")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
