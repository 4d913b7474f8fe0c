"""The index of a data set: pairs, splits, duplicates and problems."""
