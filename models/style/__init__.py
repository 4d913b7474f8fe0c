"""Style transfer network and Gatys' method."""
