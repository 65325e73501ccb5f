"""Settings of experiments, and the reader of the TOML recipes that change them."""
