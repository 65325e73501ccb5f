"""Extractors: what turns prepared frames into features."""
