"""Formats of ASAP (RFC 5352), ENRP (RFC 5353), their parameters (RFC 5354), and of CSP."""
