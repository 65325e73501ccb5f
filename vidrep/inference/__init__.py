"""Using a trained run on new videos."""
