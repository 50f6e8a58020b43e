"""Pictures from tensors: image grids, curves, histograms and densities."""
