"""Associations: setting up, ending, forgetting, and the choice of paths.

RFC 9260 sections 11.1.2 (ASSOCIATE), 11.1.3 (SHUTDOWN), 11.1.4 (ABORT), 11.1.6 (SET PRIMARY), 11.1.9 (CHANGE
HEARTBEAT), 11.1.10 (REQUEST HEARTBEAT) and 11.1.12 (SET FAILURE THRESHOLD). Data is in ``data``, status in
``status``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import heartbeat
from ..core.states import SETTING_UP, State
from ..core.transmit import emit
from ..wire.packet import HEADER_SIZE
from . import constants as c
from .instances import MILLISECONDS, local_addresses
from .library import Record, Refused, address_of, answers, instance_of, library, living, record_of

_MAX_ADDRESS_ERRORS = 0xFFFF


def sctp_associate(
    SCTP_InstanceName: int,
    noOfOutStreams: int,
    destinationAddress: str,
    destinationPort: int,
    ulp_data: Any = None,
) -> int:
    """Begin an association with a peer; return its ID, or 0 if that cannot be done. See sctp_associatex."""
    return sctp_associatex(SCTP_InstanceName, noOfOutStreams, [destinationAddress], 1, destinationPort, ulp_data)


def sctp_associatex(
    SCTP_InstanceName: int,
    noOfOutStreams: int,
    destinationAddresses: Sequence[str],
    maxSimultaneousInits: int,
    destinationPort: int,
    ulp_data: Any = None,
) -> int:
    """Begin an association with a peer that has several addresses; return its ID, or 0 if that cannot be done:
    no such instance, bad address, port or number of streams, or there is an association with that peer already.

    The first address becomes the primary path. ``maxSimultaneousInits`` is taken and ignored, as in SCTPLIB.
    communicationUpNotif or communicationLostNotif tells how it went.
    """
    try:
        lib = library()
        instance = instance_of(SCTP_InstanceName)
    except Refused:
        return 0
    config = instance.config.copy()
    config.outbound_streams = noOfOutStreams
    try:
        association = instance.endpoint.connect(
            tuple(destinationAddresses), destinationPort, lib.now(), config=config
        )
    except (OSError, ValueError, TypeError):
        return 0
    record = lib.add_record(instance, association, ulp_data)
    lib.changed()
    return record.id


@answers()
def sctp_shutdown(associationID: int) -> int:
    """End an association gracefully: what was sent is delivered first. Before it is up it is aborted.

    SCTP_SUCCESS; SCTP_ASSOC_NOT_FOUND. shutdownCompleteNotif tells the end.
    """
    lib, association = library(), living(associationID).association
    if association.state in SETTING_UP:
        association.abort(lib.now())
    else:
        association.shutdown(lib.now())
    lib.changed()
    return c.SCTP_SUCCESS


@answers()
def sctp_abort(associationID: int) -> int:
    """Abort an association. SCTP_SUCCESS; SCTP_ASSOC_NOT_FOUND. The loop calls communicationLostNotif."""
    lib = library()
    living(associationID).association.abort(lib.now())
    lib.changed()
    return c.SCTP_SUCCESS


@answers()
def sctp_deleteAssociation(associationID: int) -> int:
    """Forget an association that has ended, with its queues; every one has to be deleted by the user.

    SCTP_SUCCESS; SCTP_SPECIFIC_FUNCTION_ERROR if its end was not yet told; SCTP_ASSOC_NOT_FOUND.
    """
    if not record_of(associationID).ended:
        return c.SCTP_SPECIFIC_FUNCTION_ERROR
    del library().records[associationID]
    return c.SCTP_SUCCESS


@answers(0)
def sctp_getInstanceID(associationID: int) -> tuple[int, int]:
    """Return (0, name of the association's instance), (1, 0) if there is no such association, (-1, 0) before
    sctp_initLibrary. Works for ended associations, too.
    """
    record = library().records.get(associationID)
    return (0, record.instance.name) if record is not None else (1, 0)


@answers()
def sctp_getNumberOfLocalAddresses(associationID: int) -> int:
    """Return how many local addresses the association may use; SCTPLIB declares it only."""
    return len(_local(living(associationID)))


def sctp_getLocalAddress(associationID: int, index: int) -> str | None:
    """Return one of them, or None; SCTPLIB declares it only."""
    try:
        addresses = _local(living(associationID))
    except Refused:
        return None
    return addresses[index] if 0 <= index < len(addresses) else None


def _local(record: Record) -> list[str]:
    return local_addresses(library(), record.instance, record.association.primary.address)


# Paths


@answers()
def sctp_setPrimary(associationID: int, path_id: int) -> int:
    """Prefer a path for sending. SCTP_SUCCESS; SCTP_SPECIFIC_FUNCTION_ERROR if the association is not established
    or the path not active; SCTP_PARAMETER_PROBLEM; SCTP_ASSOC_NOT_FOUND.
    """
    record = living(associationID)
    address = address_of(record, path_id)
    association = record.association
    if association.state is not State.ESTABLISHED or not association.paths[address].usable:
        return c.SCTP_SPECIFIC_FUNCTION_ERROR
    association.set_primary(address)
    return c.SCTP_SUCCESS


@answers()
def sctp_getPrimary(associationID: int) -> int:
    """Return the index of the primary path, or the code of an error."""
    association = living(associationID).association
    return list(association.paths).index(association.primary.address)


@answers()
def sctp_changeHeartBeat(associationID: int, path_id: int, heartbeatON: int, timeIntervall: int) -> int:
    """Turn the heartbeats of a path on, at an interval in ms (the RTO and jitter are added), or off.

    SCTP_SUCCESS; SCTP_PARAMETER_PROBLEM; SCTP_MODULE_NOT_FOUND before it is up; SCTP_ASSOC_NOT_FOUND.
    """
    lib, record = library(), living(associationID)
    address = address_of(record, path_id)
    if heartbeatON not in (c.SCTP_HEARTBEAT_OFF, c.SCTP_HEARTBEAT_ON) or not 0 <= timeIntervall <= 0xFFFFFFFF:
        return c.SCTP_PARAMETER_PROBLEM
    if not record.up:
        return c.SCTP_MODULE_NOT_FOUND
    path = record.association.paths[address]
    path.hb_enabled = bool(heartbeatON)
    if heartbeatON:
        path.hb_interval = timeIntervall * MILLISECONDS
    if record.association.state is State.ESTABLISHED:
        heartbeat.begin_path(record.association, path, lib.now())
    lib.changed()
    return c.SCTP_SUCCESS


@answers()
def sctp_requestHeartbeat(associationID: int, path_id: int) -> int:
    """Send a heartbeat at once. SCTP_SUCCESS; SCTP_PARAMETER_PROBLEM; SCTP_MODULE_NOT_FOUND before it is up;
    SCTP_ASSOC_NOT_FOUND. sctp_getSrttReport shows the outcome.
    """
    lib, record = library(), living(associationID)
    address = address_of(record, path_id)
    if not record.up:
        return c.SCTP_MODULE_NOT_FOUND
    record.association.request_heartbeat(address, lib.now())
    lib.changed()
    return c.SCTP_SUCCESS


@answers()
def sctp_setFailureThreshold(associationID: int, pathMaxRetransmissions: int) -> int:
    """Set how many retransmissions make a path inactive. SCTP_SUCCESS; SCTP_PARAMETER_PROBLEM;
    SCTP_ASSOC_NOT_FOUND.
    """
    association = living(associationID).association
    if not 0 <= pathMaxRetransmissions <= _MAX_ADDRESS_ERRORS:
        return c.SCTP_PARAMETER_PROBLEM
    association.config.path_max_retrans = pathMaxRetransmissions
    for path in association.paths.values():
        path.max_retrans = pathMaxRetransmissions
    return c.SCTP_SUCCESS


@answers()
def sctp_sendRawData(associationID: int, path_id: int, buffer: bytes) -> int:
    """Send a prepared packet, for tests of peers. ``buffer`` begins with room for the SCTP header, which is
    overwritten; its chunks go out as they are.

    SCTP_SUCCESS; SCTP_PARAMETER_PROBLEM if there is nothing after the header; SCTP_ASSOC_NOT_FOUND.
    """
    lib, record = library(), living(associationID)
    address = address_of(record, path_id)
    if len(buffer) <= HEADER_SIZE or len(buffer) % 4:
        return c.SCTP_PARAMETER_PROBLEM
    emit(record.association, record.association.paths[address], [bytes(buffer[HEADER_SIZE:])])
    lib.changed()
    return c.SCTP_SUCCESS
