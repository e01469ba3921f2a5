"""Settings of algorithms for these tasks, one YAML file for each algorithm."""
