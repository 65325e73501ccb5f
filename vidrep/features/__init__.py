"""Frames to vectors: extractors, the feature file, labels and splits."""
