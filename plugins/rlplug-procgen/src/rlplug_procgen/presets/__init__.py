"""What is known to work on Procgen, one file for each algorithm."""
