"""RFC 6458 sockets for Python, over the kernel's SCTP or the userland stack, the same API for both."""

from .connecting import create_connection, create_server
from .message import Message
from .options import SocketOptions
from .sctpsocket import SctpSocket
from .transport import Transport, default_transport, resolve_transport, set_default_transport

__all__ = [
    "Message",
    "SctpSocket",
    "SocketOptions",
    "Transport",
    "create_connection",
    "create_server",
    "default_transport",
    "resolve_transport",
    "set_default_transport",
]
