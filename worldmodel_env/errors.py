"""The exception for bad input, whose message names the value, what was expected, and the fix."""


class InputError(ValueError):
    """Input that a user gave and can mend.

    Its message is one sentence: the value, what was expected, what to do. The command line prints
    it without a traceback and exits with status 2.
    """
