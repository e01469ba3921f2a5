"""Where metrics go: console, files, TensorBoard."""
