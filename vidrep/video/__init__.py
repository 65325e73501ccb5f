"""Files to frames: finding, reading, sampling by time; writing sample clips."""
