"""Data that vidrep makes itself: motion clips, MNIST, Moving MNIST as files and as endless batches."""
