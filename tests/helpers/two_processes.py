"""Two processes that train together, as torchrun would start them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from subprocess_run import Child, fork

SIZE = 2


def together(work: Callable[[int], object]) -> list[Child]:
    """Children that torchrun could have started, each doing its part."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def as_rank(rank: int) -> Callable[[], object]:
        def run() -> object:
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            os.environ |= address | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(SIZE)}
            return work(rank)

        return run

    return [fork(as_rank(rank)) for rank in range(SIZE)]


def finish(children: list[Child], code: int = 0) -> None:
    left = [child.wait() for child in children]
    assert left == [code] * SIZE, "\n".join(child.said for child in children)
