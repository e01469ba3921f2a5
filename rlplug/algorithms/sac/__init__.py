"""Soft actor-critic, for Box and for discrete actions: one agent."""
