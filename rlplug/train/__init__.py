"""The training loops and the assembly of a run."""
