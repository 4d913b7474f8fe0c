"""The one error for data that cannot be used."""


class DataError(ValueError):
    """Something is wrong with the user's data; the message names the file or key and the way out."""
