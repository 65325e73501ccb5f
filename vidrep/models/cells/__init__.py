"""Recurrent cells: the interface, and one file a cell."""
