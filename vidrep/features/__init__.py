"""The feature file: written, read, annotated, imported."""
