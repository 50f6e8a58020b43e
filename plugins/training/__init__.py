"""Optimizers, schedules, augmentations and sinks."""
