"""Videos to features: decoding workers, networks, parts, one published file."""
