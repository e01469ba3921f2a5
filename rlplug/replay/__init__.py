"""Storage of one-step facts, and the samplers that build what is learned from."""
