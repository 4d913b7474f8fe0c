"""Makes the images of the README."""
