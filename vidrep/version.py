"""The version of vidrep."""

__version__ = "0.1.0"
