"""What is measured of predictions of what happens when: frame by frame, bout by bout, and as detections."""
