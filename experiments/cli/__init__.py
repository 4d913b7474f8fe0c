"""From the command line to a plan."""
