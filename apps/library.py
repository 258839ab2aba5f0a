"""The settings of the pool element and pool user side, made of the options; words for what goes wrong there."""

from __future__ import annotations

import os

from rserpool.settings import Settings, StaticRegistrar

from .common import ASAP_PORT, CSP_PORT, transport_of
from .options import Values
from .values import address, milliseconds

CSP_LEAST = 0.25  # seconds between reports, if the environment says less


def settings_of(values: Values, identifier: int = 0) -> Settings:
    """The library's settings. ``identifier``: that of the status reports, if the options give none.

    Raises ValueError for a bad CSP_SERVER or CSP_INTERVAL.
    """
    settings = Settings(transport=transport_of(values))
    settings.registrars = [StaticRegistrar(r.addresses, r.port, r.udp_port, r.tcp) for r in values.registrar]
    if values.asapannounce == "off":
        settings.announce = None
    elif values.asapannounce != "auto":
        settings.announce = (values.asapannounce.addresses[0], values.asapannounce.port or ASAP_PORT)
    settings.announce_timeout = values.registrarannouncetimeout
    settings.connect_timeout = values.registrarconnecttimeout
    settings.connect_trials = values.registrarconnectmaxtrials
    settings.request_timeout = values.registrarrequesttimeout
    settings.response_timeout = values.registrarresponsetimeout
    settings.request_trials = values.registrarrequestmaxtrials
    server, interval = status_reports(values)
    if server is not None and interval:
        settings.csp_server, settings.csp_interval = server, interval
    settings.csp_identifier = values.cspidentifier or identifier
    settings.tls = values.tls
    return settings


def status_reports(values: Values) -> tuple[tuple[str, int] | None, float | None]:
    """Where component status reports go to and how often (seconds), by options or environment."""
    server, interval = values.cspserver, values.cspinterval
    try:
        if server is None and os.environ.get("CSP_SERVER"):
            server = address(CSP_PORT)(os.environ["CSP_SERVER"])
    except ValueError as error:
        raise ValueError(f"CSP_SERVER={os.environ['CSP_SERVER']}: {error}") from None
    try:
        if interval is None and os.environ.get("CSP_INTERVAL"):
            interval = max(milliseconds(1)(os.environ["CSP_INTERVAL"]), CSP_LEAST)
    except ValueError as error:
        raise ValueError(f"CSP_INTERVAL={os.environ['CSP_INTERVAL']}: {error}") from None
    return None if server is None else (server.addresses[0], server.port or CSP_PORT), interval


def no_registrar(values: Values) -> str:
    """What to do where no registrar was found."""
    if values.registrar:
        places = ", ".join(f"{r.addresses[0]}:{r.port}" for r in values.registrar)
        return (
            f"no registrar answers at {places}: is rspregistrar running there, with the same -transport and -tls?"
        )
    if values.asapannounce == "off":
        return "no registrar is known: name one with -registrar=ADDRESS:PORT, or leave out -asapannounce=off"
    return (
        "no registrar found: start rspregistrar in this network; where multicast does not pass, name one with "
        "-registrar=ADDRESS:PORT"
    )


def no_element(handle: str) -> str:
    """What to do where a pool has nobody."""
    return f'no pool element of pool "{handle}" can be reached: start a server (rspserver) or check -poolhandle'
