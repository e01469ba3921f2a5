"""Making, vectorising and checking environments, and the one step adapter."""
