"""Formats of annotations with time, one a module; `vidrep.segments.known_formats` lists them."""
