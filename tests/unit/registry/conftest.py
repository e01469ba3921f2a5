"""Fixtures of these tests."""

from fake_site import fake_site

__all__ = ["fake_site"]
