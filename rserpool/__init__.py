"""Reliable Server Pooling (RFC 5351 to 5356): registrars, pool elements, pool users."""
