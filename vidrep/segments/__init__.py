"""What happens when in a video: segments with a start, an end and a label, read from and written to many formats."""
