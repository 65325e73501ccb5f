"""From probabilities of labels, frame by frame, to what happens when: bouts, their summary, and files of both."""
