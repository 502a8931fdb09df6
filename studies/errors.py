"""What is said to a user whose input cannot be used."""


class BadInput(ValueError):
    """Input that came from outside and is wrong.

    The message is for the user as it stands: what is wrong, where (file, line, column, key) and
    what would be right. The command line prints it and exits with status 2.
    """
