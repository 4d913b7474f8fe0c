"""Reads images and videos, and converts their pixels."""
