"""What a data set consists of: pairs, splits, duplicates and problems."""
