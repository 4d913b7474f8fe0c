"""Reading of images, masks and videos."""
