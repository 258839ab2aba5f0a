"""SCTP sockets (RFC 6458) over the userland engine or the kernel's SCTP, blocking and asyncio."""
