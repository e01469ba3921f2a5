"""Pure tensor maths: no state, no networks, no environments."""
