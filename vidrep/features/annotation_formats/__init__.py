"""Formats of annotation files, one a module; `vidrep.features.annotation_files` recognizes them."""
