"""Noise schedules, and a model that removes noise."""

from __future__ import annotations

from .schedule import Schedule

__all__ = ["Schedule"]
