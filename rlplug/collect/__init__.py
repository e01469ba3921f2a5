"""Letting a policy act in environments."""
