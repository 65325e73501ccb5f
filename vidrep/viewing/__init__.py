"""Runs and windows as pictures: filmstrips."""
