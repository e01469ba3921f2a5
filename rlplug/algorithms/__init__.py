"""The built-in plugin: algorithms that import public names only."""
