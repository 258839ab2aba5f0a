"""Bytes of SCTP: packets, chunks, parameters, error causes, checksum."""
