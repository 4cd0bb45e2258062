"""The authors' scaling of frames; needed only to feed their released weights."""

import numpy as np

PREPROCESSES = ("plain", "authors")


def as_authors_fed(frame: np.ndarray) -> np.ndarray:
    """Return a frame uint8 [64, 64, 3] as the authors' V was fed it.

    Their (1 - x) * 255 on bytes leaves x - 1 modulo 256: black turns white (source: authors' code). Their resize also
    stretches the contrast of a frame that does not span the whole range; the frames they published show none of it, so
    it is left out.
    """
    return frame - np.uint8(1)
