"""Settings for (algorithm, environment) pairs, one YAML file an algorithm."""
