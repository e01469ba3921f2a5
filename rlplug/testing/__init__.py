"""Public test kit: probe environments and conformance checks."""
