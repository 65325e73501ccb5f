"""The feature file: written, read, labelled, imported; Moving MNIST made into one."""
