"""The messages of ASAP in words (RFC 5352 section 2.2; procedures: section 3)."""

from __future__ import annotations

from pysctplib.trace.explain import Explanation
from rserpool.wire import asap, causes

from .values import Tellers, identifier, life, octets, policy, pool, several, told, transport


def _registration(m: asap.Registration) -> str:
    e = m.element
    return (
        f"PE {identifier(e.identifier)} joins pool {pool(m.handle)} for {life(e.life)}, "
        f"{policy(e.policy)}, reached at {transport(e.user_transport)}"
    )


def _registered(m: asap.RegistrationResponse) -> str:
    who = f"PE {identifier(m.identifier)}"
    if m.reject:
        return f"{who} is refused in pool {pool(m.handle)}: {causes.text(m.error or 0)}"
    return f"{who} is in pool {pool(m.handle)} now"


def _deregistration(m: asap.Deregistration) -> str:
    return f"PE {identifier(m.identifier)} leaves pool {pool(m.handle)}"


def _deregistered(m: asap.DeregistrationResponse) -> str:
    who = f"PE {identifier(m.identifier)}"
    if m.reject:
        return f"{who} is not taken out of pool {pool(m.handle)}: {causes.text(m.error or 0)}"
    return f"{who} is out of pool {pool(m.handle)}"


def _resolution(m: asap.HandleResolution) -> str:
    wanted = "" if m.items is None else f" (at most {m.items})" if m.items else " (as many as there are)"
    return f"which servers has pool {pool(m.handle)}?{wanted}"


def _resolved(m: asap.HandleResolutionResponse) -> str:
    if m.error is not None:
        return f"no servers of pool {pool(m.handle)}: {causes.text(m.error)}"
    if not m.elements:
        return f"pool {pool(m.handle)} has no element"
    chosen = several(m.elements, lambda e: identifier(e.identifier))
    by = f", by {policy(m.policy)}" if m.policy else ""
    return f"take PE {chosen} of pool {pool(m.handle)}{by}"


def _keep_alive(m: asap.EndpointKeepAlive) -> str:
    who = "the element" if m.identifier is None else f"PE {identifier(m.identifier)}"
    if m.home:
        return (
            f"with H bit: registrar {identifier(m.registrar)} is the home registrar of {who} "
            f"in pool {pool(m.handle)} from now on"
        )
    return f"is {who} alive?"


def _alive(m: asap.EndpointKeepAliveAck) -> str:
    return f"PE {identifier(m.identifier)} is alive"


def _unreachable(m: asap.EndpointUnreachable) -> str:
    return f"reports that PE {identifier(m.identifier)} of pool {pool(m.handle)} does not answer"


def _announce(m: asap.ServerAnnounce) -> str:
    at = f" at {several(m.transports, transport, 1)}" if m.transports else ""
    return f"takes requests{at}"


def _cookie(m: asap.Cookie) -> str:
    return f"the server's state for its successor, {octets(m.cookie)}"


def _cookie_echo(m: asap.CookieEcho) -> str:
    return f"the former server's state, given to the new one: the session goes on, {octets(m.cookie)}"


def _card(m: asap.BusinessCard) -> str:
    return f"if I fail, turn to {several(m.elements, lambda e: f'PE {identifier(e.identifier)}')}"


def _error(m: asap.Error) -> str:
    return f"the other end's message was wrong: {causes.text(m.error)}"


_TELLERS: Tellers = {
    asap.Registration: ("REGISTRATION", "2.2.1", "3.1", _registration),
    asap.Deregistration: ("DEREGISTRATION", "2.2.2", "3.2", _deregistration),
    asap.RegistrationResponse: ("REGISTRATION_RESPONSE", "2.2.3", "3.1", _registered),
    asap.DeregistrationResponse: ("DEREGISTRATION_RESPONSE", "2.2.4", "3.2", _deregistered),
    asap.HandleResolution: ("HANDLE_RESOLUTION", "2.2.5", "3.3", _resolution),
    asap.HandleResolutionResponse: ("HANDLE_RESOLUTION_RESPONSE", "2.2.6", "3.3", _resolved),
    asap.EndpointKeepAlive: ("ENDPOINT_KEEP_ALIVE", "2.2.7", "3.4", _keep_alive),
    asap.EndpointKeepAliveAck: ("ENDPOINT_KEEP_ALIVE_ACK", "2.2.8", "3.4", _alive),
    asap.EndpointUnreachable: ("ENDPOINT_UNREACHABLE", "2.2.9", "3.5", _unreachable),
    asap.ServerAnnounce: ("SERVER_ANNOUNCE", "2.2.10", "3.6", _announce),
    asap.Cookie: ("COOKIE", "2.2.11", "3.8", _cookie),
    asap.CookieEcho: ("COOKIE_ECHO", "2.2.12", "3.8", _cookie_echo),
    asap.BusinessCard: ("BUSINESS_CARD", "2.2.13", "3.9", _card),
    asap.Error: ("ERROR", "2.2.14", "", _error),
}


def explain(message: asap.Message) -> Explanation:
    """A message of ASAP in words."""
    return told("ASAP", 5352, _TELLERS, message)


def is_monitoring(message: asap.Message) -> bool:
    """Whether a message only repeats that all is well: announces, keep-alives without H bit, cookies."""
    if isinstance(message, asap.EndpointKeepAlive):
        return not message.home
    return isinstance(message, (asap.EndpointKeepAliveAck, asap.ServerAnnounce, asap.Cookie))
