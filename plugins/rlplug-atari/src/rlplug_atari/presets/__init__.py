"""Settings for Atari games, one file for each algorithm."""
