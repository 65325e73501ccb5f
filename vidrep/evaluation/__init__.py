"""Metrics of trained runs, with baselines beside them."""
