"""What is wrong with a data set before anything learns from it: leaks between splits, duplicates, oddities."""
