"""Figures for trained runs, with baselines beside them."""
