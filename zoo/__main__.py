"""``python -m zoo``."""

import os
import sys

# Python puts the current folder first: a file there, called like a module that zoo needs, would be run in its place.
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109
    del sys.path[0]

from .cli.app import app

app()
