"""Inference with trained models: scores, samples, codes and views."""
