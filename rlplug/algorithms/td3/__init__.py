"""Deterministic actor-critic: TD3, and DDPG as a setting of it."""
