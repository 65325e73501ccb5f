"""Recipes: one experiment each, in TOML, shipped in the wheel."""
