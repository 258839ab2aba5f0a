"""The handlespace: pools, pool elements, their indices and their selection (RFC 5353, RFC 5356).

Sans-IO. A registrar keeps the operational scope's handlespace in one `Handlespace`, a pool user its cache.
"""

from rserpool.handlespace.checksum import EMPTY_CHECKSUM, checksum_of, fold, weigh
from rserpool.handlespace.element import Element, Incompatible
from rserpool.handlespace.pool import Pool
from rserpool.handlespace.space import Handlespace
from rserpool.handlespace.timers import TimerQueue

__all__ = [
    "EMPTY_CHECKSUM",
    "Element",
    "Handlespace",
    "Incompatible",
    "Pool",
    "TimerQueue",
    "checksum_of",
    "fold",
    "weigh",
]
