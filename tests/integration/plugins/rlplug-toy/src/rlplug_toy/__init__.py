"""A plugin for rlplug: one algorithm, one environment, and one of everything else."""
