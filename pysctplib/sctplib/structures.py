"""The structures of SCTPLIB's API: fields with SCTPLIB's names, in SCTPLIB's order. Times are milliseconds.

Fields that SCTPLIB does not have come last and have defaults. What each field does is in
docs/reference/sctplib.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .constants import SCTP_CHECKSUM_ALGORITHM_CRC32C


@dataclass(slots=True)
class SCTP_ulpCallbacks:
    """The callbacks of an instance, all optional. The last argument is always the association's ulp_data."""

    dataArriveNotif: Callable[[int, int, int, int, int, int, int, Any], object] | None = None
    """(associationID, stream, length, streamSN, tsn, protocolId, unordered, ulp_data)"""
    sendFailureNotif: Callable[[int, bytes, Any, Any], object] | None = None
    """(associationID, data, context, ulp_data)"""
    networkStatusChangeNotif: Callable[[int, int, int, Any], object] | None = None
    """(associationID, path, SCTP_PATH_..., ulp_data)"""
    communicationUpNotif: Callable[[int, int, int, int, int, int, Any], Any] | None = None
    """(associationID, SCTP_COMM_UP_..., paths, inStreams, outStreams, PR-SCTP, ulp_data) -> new ulp_data"""
    communicationLostNotif: Callable[[int, int, Any], object] | None = None
    """(associationID, SCTP_COMM_LOST_..., ulp_data)"""
    communicationErrorNotif: Callable[[int, int, Any], object] | None = None
    """(associationID, error cause code of the peer's ERROR chunk, ulp_data)"""
    restartNotif: Callable[[int, Any], object] | None = None
    """(associationID, ulp_data)"""
    peerShutdownReceivedNotif: Callable[[int, Any], object] | None = None
    """(associationID, ulp_data)"""
    shutdownCompleteNotif: Callable[[int, Any], object] | None = None
    """(associationID, ulp_data)"""
    queueStatusChangeNotif: Callable[[int, int, int, int, Any], object] | None = None
    """(associationID, SCTP_SEND_QUEUE, 0, messages in the queue, ulp_data)"""
    asconfStatusNotif: Callable[[int, int, int, Any, Any], object] | None = None
    """(associationID, correlation, result, request, ulp_data)"""


@dataclass(slots=True)
class SCTP_LibraryParameters:
    """Settings of the whole library."""

    sendOotbAborts: int = 1
    checksumAlgorithm: int = SCTP_CHECKSUM_ALGORITHM_CRC32C
    supportPRSCTP: int = 1
    supportADDIP: int = 0


@dataclass(slots=True)
class SCTP_InstanceParameters:
    """Defaults of an instance for its associations to come."""

    noOfLocalAddresses: int = 0
    localAddressList: list[str] = field(default_factory=list)
    rtoInitial: int = 1000
    rtoMin: int = 1000
    rtoMax: int = 60000
    validCookieLife: int = 60000
    outStreams: int = 10
    inStreams: int = 10
    supportUnreliableStreams: int = 0
    supportADDIP: int = 0
    assocMaxRetransmits: int = 10
    pathMaxRetransmits: int = 5
    maxInitRetransmits: int = 8
    myRwnd: int = 1 << 20
    delay: int = 200
    ipTos: int = 0
    maxSendQueue: int = 0
    maxRecvQueue: int = 0
    maxNumberOfAssociations: int = 0
    remoteUdpPort: int = 9899
    """Not in SCTPLIB: UDP port that associations are set up to (RFC 6951); 0: SCTP directly over IP."""
    heartbeatIntervall: int = 30000
    """Not in SCTPLIB: heartbeat interval in ms; 0: no heartbeats."""


@dataclass(slots=True)
class SCTP_AssociationStatus:
    """State and parameters of an association; from primaryAddressIndex on also for sctp_setAssocStatus."""

    state: int = 0
    numberOfAddresses: int = 0
    primaryDestinationAddress: str = ""
    sourcePort: int = 0
    destPort: int = 0
    outStreams: int = 0
    inStreams: int = 0
    supportUnreliableStreams: int = 0
    supportADDIP: int = 0
    primaryAddressIndex: int = 0
    currentReceiverWindowSize: int = 0
    outstandingBytes: int = 0
    noOfChunksInSendQueue: int = 0
    noOfChunksInRetransmissionQueue: int = 0
    noOfChunksInReceptionQueue: int = 0
    rtoInitial: int = 0
    rtoMin: int = 0
    rtoMax: int = 0
    validCookieLife: int = 0
    assocMaxRetransmits: int = 0
    pathMaxRetransmits: int = 0
    maxInitRetransmits: int = 0
    myRwnd: int = 0
    delay: int = 0
    ipTos: int = 0
    maxSendQueue: int = 0
    maxRecvQueue: int = 0


@dataclass(slots=True)
class SCTP_PathStatus:
    """State of one address of the peer."""

    destinationAddress: str = ""
    state: int = 0
    srtt: int = 0
    rto: int = 0
    rttvar: int = 0
    heartbeatIntervall: int = 0
    cwnd: int = 0
    cwnd2: int = 0
    partialBytesAcked: int = 0
    ssthresh: int = 0
    outstandingBytesPerAddress: int = 0
    mtu: int = 0
    ipTos: int = 0
