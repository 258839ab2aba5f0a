"""Pool elements and pool users for asyncio (RFC 5351 section 3; docs/reference/rserpool.md)."""

from rserpool.session.element import PoolElement
from rserpool.session.events import COMPLETE, NECESSARY, CookieEcho, Data, Failover
from rserpool.session.library import Library
from rserpool.session.peer import PeerSession
from rserpool.session.pool_user import PoolUser
from rserpool.session.user import Session

__all__ = [
    "COMPLETE",
    "NECESSARY",
    "CookieEcho",
    "Data",
    "Failover",
    "Library",
    "PeerSession",
    "PoolElement",
    "PoolUser",
    "Session",
]
