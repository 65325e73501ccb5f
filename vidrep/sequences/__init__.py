"""Feature file to windows: index arithmetic, datasets, samplers."""
