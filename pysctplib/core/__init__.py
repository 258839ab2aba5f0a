"""The protocol engine of SCTP, sans-IO: see ``engine.Engine``. Contract: docs/design.md section 2."""
