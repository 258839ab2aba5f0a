"""SOCKETAPI's constants: names of its own, and those that RFC 6458 calls otherwise."""

from __future__ import annotations

import os

from .. import constants as c

VERSION = 0x22200
O_NONBLOCK = getattr(os, "O_NONBLOCK", 0x800)
F_GETFL, F_SETFL = 3, 4

# SOCKETAPI's flags that RFC 6458 names otherwise.
MSG_UNORDERED = c.SCTP_UNORDERED
MSG_ADDR_OVER = c.SCTP_ADDR_OVER
MSG_ABORT = c.SCTP_ABORT
MSG_EOF = MSG_SHUTDOWN = c.SCTP_EOF
MSG_SEND_TO_ALL = c.SCTP_SENDALL
MSG_PR_SCTP_TTL = c.SCTP_PR_SCTP_TTL
MSG_UNBUNDLED = 0  # no such flag in RFC 6458: SCTP_NODELAY is for the whole socket
MSG_NOTIFICATION = c.MSG_NOTIFICATION
MSG_EOR = c.MSG_EOR
SCTP_SET_DEFAULT_SEND_PARAM = c.SCTP_DEFAULT_SEND_PARAM
SCTP_SET_STREAM_TIMEOUTS = 1014  # SOCKETAPI's own, with its number
