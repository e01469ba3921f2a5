"""rlplug: a plugin-based reinforcement-learning framework."""

__version__ = "0.1.0"
