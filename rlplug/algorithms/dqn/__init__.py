"""The value family: one agent, four slots."""
