"""TLS for ASAP and ENRP (RFC 5352 section 9, RFC 5353 section 6, RFC 3436). Off unless files are given."""
