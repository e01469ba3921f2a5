"""Finding and loading plugins; never imports torch."""
