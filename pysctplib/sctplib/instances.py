"""Instances: a bound port with its addresses, callbacks and the defaults of its associations.

RFC 9260 section 11.1.1 (INITIALIZE). The engine keeps time in seconds, SCTPLIB in milliseconds: converted here
and in ``status`` only.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ifaddr

from ..core.addresses import canonical
from ..core.config import Config
from . import constants as c
from .library import Instance, Library, Refused, answers, instance_of, library
from .structures import SCTP_InstanceParameters, SCTP_ulpCallbacks

_SEND_BUFFER = 1 << 30  # SCTPLIB's send queue has no limit but maxSendQueue
_WILDCARDS = ("0.0.0.0", "::")

# Structure's field, field of the engine's Config, factor.
MILLISECONDS = 0.001
CONFIG_FIELDS: tuple[tuple[str, str, float], ...] = (
    ("rtoInitial", "rto_initial", MILLISECONDS),
    ("rtoMin", "rto_min", MILLISECONDS),
    ("rtoMax", "rto_max", MILLISECONDS),
    ("validCookieLife", "valid_cookie_life", MILLISECONDS),
    ("assocMaxRetransmits", "association_max_retrans", 1),
    ("pathMaxRetransmits", "path_max_retrans", 1),
    ("maxInitRetransmits", "max_init_retransmits", 1),
    ("myRwnd", "receive_buffer", 1),
    ("delay", "sack_delay", MILLISECONDS),
)
_INSTANCE_FIELDS: tuple[tuple[str, str, float], ...] = (
    *CONFIG_FIELDS,
    ("outStreams", "outbound_streams", 1),
    ("inStreams", "max_inbound_streams", 1),
    ("remoteUdpPort", "remote_udp_port", 1),
    ("heartbeatIntervall", "hb_interval", MILLISECONDS),
)


def to_config(structure: object, config: Config, table: tuple[tuple[str, str, float], ...]) -> dict[str, Any]:
    """Return the Config fields that ``structure`` sets, checked together; ``Refused`` if one is out of range."""
    changes = {
        name: getattr(structure, own) if factor == 1 else getattr(structure, own) * factor
        for own, name, factor in table
    }
    try:
        replace(config, **changes).check()
    except (TypeError, ValueError):
        raise Refused(c.SCTP_PARAMETER_PROBLEM) from None
    return changes


def from_config(structure: object, config: Config, table: tuple[tuple[str, str, float], ...]) -> None:
    """Fill ``structure`` from ``config``."""
    for own, name, factor in table:
        value = getattr(config, name)
        setattr(structure, own, value if factor == 1 else round(value / factor))


def _bound_addresses(addresses: Sequence[str]) -> tuple[str, ...]:
    """Check the local addresses of an instance; return them as ``ipaddress`` writes them."""
    try:
        canonical = tuple(str(ipaddress.ip_address(a)) for a in addresses)
    except ValueError:
        raise Refused(c.SCTP_PARAMETER_PROBLEM) from None
    if not canonical or (len(canonical) > 1 and any(a in _WILDCARDS for a in canonical)):
        raise Refused(c.SCTP_PARAMETER_PROBLEM)
    return canonical


def _clashes(lib: Library, port: int, addresses: tuple[str, ...]) -> bool:
    """Return whether an instance has the port on a common address."""
    for other in lib.instances.values():
        both = (*addresses, *other.addresses)
        if other.endpoint.port == port and (set(_WILDCARDS).intersection(both) or len(set(both)) < len(both)):
            return True
    return False


def local_addresses(lib: Library, instance: Instance, peer: str | None = None) -> list[str]:
    """Return the local addresses of an instance; if it is bound to a wildcard those of the host, or of them those
    that ``peer`` may use.
    """
    if instance.endpoint.addresses:
        return list(instance.endpoint.addresses)
    if peer is not None:
        return list(lib.stack.engine.local_addresses(peer))
    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    return sorted({canonical(ip if isinstance(ip, str) else ip[0]) for ip in found})


@answers()
def sctp_registerInstance(
    localPort: int,
    noOfInStreams: int,
    noOfOutStreams: int,
    localAddressList: Sequence[str],
    ULPcallbackFunctions: SCTP_ulpCallbacks,
) -> int:
    """Bind a port and accept associations on it; return the instance's name, above 0.

    ``localPort`` 0: any free one. ``localAddressList``: numeric addresses, or one wildcard alone, "0.0.0.0" or
    "::", both for all addresses of both families. Else 0 (an instance of this program has the port),
    SCTP_PARAMETER_PROBLEM (no streams, bad addresses), SCTP_WRONG_ADDRESS (the port is taken, the address is not
    local), SCTP_INSUFFICIENT_PRIVILEGES, SCTP_OUT_OF_RESOURCES.
    """
    lib = library()
    addresses = _bound_addresses(localAddressList)
    config = Config(
        outbound_streams=noOfOutStreams,
        max_inbound_streams=noOfInStreams,
        send_buffer=_SEND_BUFFER,
        partial_reliability=bool(lib.parameters.supportPRSCTP),
        nodelay=True,  # SCTPLIB sends at once what the windows allow
    )
    try:
        config.check()
    except (TypeError, ValueError):
        return c.SCTP_PARAMETER_PROBLEM
    if not 0 <= localPort <= 0xFFFF:
        return c.SCTP_PARAMETER_PROBLEM
    if localPort and _clashes(lib, localPort, addresses):
        return 0
    name = _free_name(lib)
    try:
        endpoint = lib.stack.open_endpoint(localPort, () if addresses[0] in _WILDCARDS else addresses, config)
    except OSError as error:
        return _OPEN_ERRORS.get(error.errno or 0, c.SCTP_WRONG_ADDRESS)
    endpoint.listen(True)
    instance = Instance(name, endpoint, addresses, replace(ULPcallbackFunctions), endpoint.config)
    lib.instances[name] = endpoint.user = instance
    return name


_OPEN_ERRORS = {
    errno.EACCES: c.SCTP_INSUFFICIENT_PRIVILEGES,
    errno.EPERM: c.SCTP_INSUFFICIENT_PRIVILEGES,
    errno.ENOBUFS: c.SCTP_OUT_OF_RESOURCES,
    errno.EMFILE: c.SCTP_OUT_OF_RESOURCES,
    errno.EINVAL: c.SCTP_PARAMETER_PROBLEM,
}


def _free_name(lib: Library) -> int:
    name = next((n for n in range(1, 0x8000) if n not in lib.instances), 0)  # a short in C
    if not name:
        raise Refused(c.SCTP_OUT_OF_RESOURCES)
    return name


@answers()
def sctp_unregisterInstance(instance_name: int) -> int:
    """Give an instance's port back. SCTP_SUCCESS; SCTP_INSTANCE_NOT_FOUND; SCTP_INSTANCE_IN_USE while it has
    associations, even ended ones that were not deleted.
    """
    lib = library()
    instance = instance_of(instance_name)
    if any(record.instance is instance for record in lib.records.values()):
        return c.SCTP_INSTANCE_IN_USE
    lib.stack.close_endpoint(instance.endpoint, lib.now())
    del lib.instances[instance_name]
    lib.changed()
    return c.SCTP_SUCCESS


def sctp_getInstancePort(instance_name: int) -> int:
    """Return the SCTP port of an instance, or the code of an error. Not in SCTPLIB."""
    try:
        return instance_of(instance_name).endpoint.port
    except Refused as refused:
        return refused.code


@answers()
def sctp_setAssocDefaults(SCTP_InstanceName: int, params: SCTP_InstanceParameters) -> int:
    """Set the defaults for associations to come, all or none.

    SCTP_PARAMETER_PROBLEM if a value is out of its range. The addresses, supportUnreliableStreams, supportADDIP,
    ipTos and maxRecvQueue are ignored.
    """
    instance = instance_of(SCTP_InstanceName)
    changes = to_config(params, instance.config, _INSTANCE_FIELDS)
    if params.maxSendQueue < 0 or params.maxNumberOfAssociations < 0:
        return c.SCTP_PARAMETER_PROBLEM
    for name, value in changes.items():
        setattr(instance.config, name, value)
    instance.max_send_queue = params.maxSendQueue
    instance.max_associations = params.maxNumberOfAssociations
    return c.SCTP_SUCCESS


@answers(None)
def sctp_getAssocDefaults(SCTP_InstanceName: int) -> tuple[int, SCTP_InstanceParameters | None]:
    """Return (code, defaults of the instance). A wildcard instance lists the host's addresses."""
    instance = instance_of(SCTP_InstanceName)
    addresses = local_addresses(library(), instance)
    params = SCTP_InstanceParameters(
        noOfLocalAddresses=len(addresses),
        localAddressList=addresses,
        maxSendQueue=instance.max_send_queue,
        maxNumberOfAssociations=instance.max_associations,
    )
    from_config(params, instance.config, _INSTANCE_FIELDS)
    return c.SCTP_SUCCESS, params
