"""Resized images and check results, kept between runs."""
