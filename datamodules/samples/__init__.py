"""Sample data that Darkroom generates."""
