"""The host's one SCTP port space, shared by all its processes (RFC 6951 gives a host one UDP port)."""
