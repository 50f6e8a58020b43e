"""What all tests share."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def device() -> str:
    """The accelerator that is here, or the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"
