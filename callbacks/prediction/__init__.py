"""Writers of predictions: masks, images and videos."""
