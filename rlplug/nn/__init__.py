"""Network parts: encoders, heads' layers, initialisers."""
