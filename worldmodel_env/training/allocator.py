"""Keep freed memory for the next step instead of returning it to the operating system.

A training step frees and allocates the same hundreds of megabytes again. glibc unmaps large blocks
at once, so that the kernel must clear their pages anew in every step.
"""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of mallopt(3)


def keep_memory() -> None:
    """Tell glibc's malloc to hold on to what is freed; elsewhere, do nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 256 * 2**20)
