"""Data modules of plain images: super-resolution and style transfer."""
