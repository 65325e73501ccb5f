"""Input transforms: the interface, one file a transform, and the chain of them in front of a model."""
