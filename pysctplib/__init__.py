"""SCTP in userland: RFC 9260 over UDP (RFC 6951) or raw IP, in pure Python."""
