"""Images and videos for the command ``predict``."""
