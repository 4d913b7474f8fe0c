"""The only place where the parts meet: command line, recipes, benchmarks."""
