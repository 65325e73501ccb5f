"""Heads of a classifier: the interface, and one file a head."""
