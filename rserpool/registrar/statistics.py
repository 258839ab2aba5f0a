"""What a registrar counts: RSPLIB's columns first, then every drop with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Statistics:
    """Counters since the start; registrations include re-registrations, as in RSPLIB's files."""

    registrations: int = 0
    reregistrations: int = 0
    deregistrations: int = 0
    handle_resolutions: int = 0
    failure_reports: int = 0
    synchronizations: int = 0
    handle_updates: int = 0
    endpoint_keepalives: int = 0
    refused: int = 0  # registrations
    takeovers: int = 0  # completed by this registrar
    takeovers_aborted: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # reason -> messages
