"""What a model runs on: device, precision, compilation, processes, signals and random numbers."""
