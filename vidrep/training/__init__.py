"""One training loop, and the two trainings that use it: pretraining and fine-tuning."""
