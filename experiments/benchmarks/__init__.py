"""Speed and quality beside peers; every file prints a table."""
