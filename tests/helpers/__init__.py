"""Tiny data, networks and runs that the tests share."""
