"""The subcommands: one file each, and the table of them."""
