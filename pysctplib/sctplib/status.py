"""Status and parameters of associations and paths.

RFC 9260 sections 11.1.8 (STATUS) and 11.1.11 (GET SRTT REPORT). SCTPLIB's milliseconds are converted by the
tables of ``instances``.
"""

from __future__ import annotations

from ..core.path import Path, PathState
from ..core.states import State
from . import constants as c
from .instances import CONFIG_FIELDS, MILLISECONDS, from_config, to_config
from .library import address_of, answers, library, living
from .structures import SCTP_AssociationStatus, SCTP_PathStatus

_STATES = {
    State.CLOSED: c.SCTP_CLOSED,
    State.COOKIE_WAIT: c.SCTP_COOKIE_WAIT,
    State.COOKIE_ECHOED: c.SCTP_COOKIE_ECHOED,
    State.ESTABLISHED: c.SCTP_ESTABLISHED,
    State.SHUTDOWN_PENDING: c.SCTP_SHUTDOWN_PENDING,
    State.SHUTDOWN_RECEIVED: c.SCTP_SHUTDOWN_RECEIVED,
    State.SHUTDOWN_SENT: c.SCTP_SHUTDOWN_SENT,
    State.SHUTDOWN_ACK_SENT: c.SCTP_SHUTDOWNACK_SENT,
}
_PATH_STATES = {
    PathState.ACTIVE: c.SCTP_PATH_OK,
    PathState.INACTIVE: c.SCTP_PATH_UNREACHABLE,
    PathState.UNCONFIRMED: c.SCTP_PATH_UNCONFIRMED,
}


def _ms(seconds: float) -> int:
    return round(seconds / MILLISECONDS)


@answers(None)
def sctp_getAssocStatus(associationID: int) -> tuple[int, SCTP_AssociationStatus | None]:
    """Return (code, status): SCTP_SUCCESS or SCTP_ASSOC_NOT_FOUND. currentReceiverWindowSize is the peer's window;
    the numbers of chunks are messages, but for the retransmission queue: what is sent and not acknowledged.
    """
    record = living(associationID)
    a = record.association
    addresses = list(a.paths)
    snapshot = a.status()
    status = SCTP_AssociationStatus(
        state=_STATES[a.state],
        numberOfAddresses=len(addresses),
        primaryDestinationAddress=a.primary.address,
        sourcePort=a.endpoint.port,
        destPort=a.peer_port,
        outStreams=a.outbound_streams,
        inStreams=a.inbound_streams,
        supportUnreliableStreams=int(a.forward_tsn),
        primaryAddressIndex=addresses.index(a.primary.address),
        currentReceiverWindowSize=snapshot.peer_rwnd,
        outstandingBytes=a.flight.outstanding,
        noOfChunksInSendQueue=len(a.outbound.queue),
        noOfChunksInRetransmissionQueue=snapshot.unacknowledged_chunks,
        noOfChunksInReceptionQueue=sum(map(len, record.inbox.values())),
        maxSendQueue=record.max_send_queue,
    )
    from_config(status, a.config, CONFIG_FIELDS)
    return c.SCTP_SUCCESS, status


@answers()
def sctp_setAssocStatus(associationID: int, new_status: SCTP_AssociationStatus) -> int:
    """Set the fields of a status that can be set, all or none: read, change, write back.

    SCTP_SUCCESS; SCTP_PARAMETER_PROBLEM if a value is out of its range or the new primary path is not active;
    SCTP_ASSOC_NOT_FOUND. ipTos and maxRecvQueue are ignored.
    """
    record = living(associationID)
    a = record.association
    changes = to_config(new_status, a.config, CONFIG_FIELDS)
    primary = a.paths[address_of(record, new_status.primaryAddressIndex)]
    if new_status.maxSendQueue < 0 or (primary is not a.primary and not primary.usable):
        return c.SCTP_PARAMETER_PROBLEM
    for name, value in changes.items():
        setattr(a.config, name, value)
    for path in a.paths.values():
        path.rto_min, path.rto_max = a.config.rto_min, a.config.rto_max
        path.max_retrans = a.config.path_max_retrans
    record.max_send_queue = new_status.maxSendQueue
    if primary is not a.primary:
        a.set_primary(primary.address)
    library().changed()
    return c.SCTP_SUCCESS


def _path(association_id: int, path_id: int) -> Path:
    record = living(association_id)
    return record.association.paths[address_of(record, path_id)]


@answers(None)
def sctp_getPathStatus(associationID: int, path_id: int) -> tuple[int, SCTP_PathStatus | None]:
    """Return (code, status): SCTP_SUCCESS; SCTP_PARAMETER_PROBLEM for a bad path; SCTP_ASSOC_NOT_FOUND, also
    before the association is up.
    """
    if not living(associationID).up:
        return c.SCTP_ASSOC_NOT_FOUND, None
    path = _path(associationID, path_id)
    return c.SCTP_SUCCESS, SCTP_PathStatus(
        destinationAddress=path.address,
        state=_PATH_STATES[path.state],
        srtt=_ms(path.srtt),
        rto=_ms(path.rto),
        rttvar=_ms(path.rttvar),
        heartbeatIntervall=_ms(path.hb_interval) if path.hb_enabled else 0,
        cwnd=path.cwnd,
        partialBytesAcked=path.partial_bytes_acked,
        ssthresh=path.ssthresh,
        outstandingBytesPerAddress=path.flight,
        mtu=path.mtu,
    )


@answers()
def sctp_setPathStatus(associationID: int, path_id: int, new_status: SCTP_PathStatus) -> int:
    """SCTP_UNSPECIFIED_ERROR, as in SCTPLIB: nothing of a path's status can be set by itself.

    sctp_changeHeartBeat sets the heartbeat, sctp_setFailureThreshold and sctp_setAssocStatus the rest.
    """
    _path(associationID, path_id)
    return c.SCTP_UNSPECIFIED_ERROR


@answers()
def sctp_getSrttReport(associationID: int, path_id: int) -> int:
    """Return the smoothed RTT of a path in ms; 0 if it was not measured. Or SCTP_PARAMETER_PROBLEM,
    SCTP_ASSOC_NOT_FOUND.
    """
    return _ms(_path(associationID, path_id).srtt)
