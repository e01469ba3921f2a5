"""Atari 2600 games for rlplug, on ale-py's native vector environment."""
