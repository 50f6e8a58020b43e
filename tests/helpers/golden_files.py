"""A run directory and a share file that were written in format 1."""

from __future__ import annotations

from pathlib import Path

FORMAT_1 = Path(__file__).parents[1] / "golden" / "format-1"
RUN, SHARE = FORMAT_1 / "run", FORMAT_1 / "vae.safetensors"
