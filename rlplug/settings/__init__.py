"""What config models hold, and how layers of settings merge onto them.

`fields` looks into a config class, `yaml_text` reads and writes its values, `layers` merges nested
settings and remembers who set what, `words` says what is wrong with one. Knows no registry.
"""
