"""The command line: parses, builds a config, calls the library, prints."""
