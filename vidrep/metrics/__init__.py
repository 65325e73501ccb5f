"""What is measured: frames, predictions, classifications, and the baselines beside them."""
