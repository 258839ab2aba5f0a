"""The side of ASAP that pool elements and pool users share: towards registrars (RFC 5352)."""

from rserpool.asap.client import AsapClient, RegistrarLink

__all__ = ["AsapClient", "RegistrarLink"]
