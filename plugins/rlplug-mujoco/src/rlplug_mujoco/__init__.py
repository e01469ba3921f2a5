"""Gymnasium's MuJoCo tasks for rlplug."""

__version__ = "0.1.0"
