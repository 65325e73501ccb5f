"""Objectives of pretraining: the interface, and one file an objective."""
