"""Moves datagrams: UDP (RFC 6951), raw IP, a simulated network. Knows nothing of chunks."""
