"""The command line: parses, calls, prints. No logic, and no torch until a command needs it."""

from . import data, doctor, listing, models, new, runs, share, train  # noqa: F401  (each registers its commands)
from .app import app

__all__ = ["app"]
