"""``python -m zoo``."""

from .cli import app

app()
