"""SCTPLIB's constants, structures and callbacks: all of them, with the original's values and order of fields."""

import dataclasses

import pytest

from pysctplib import sctplib

# Name (without SCTP_) and value, as in the original's header.
CONSTANTS = {
    "MAX_IP_LEN": 46, "MAX_NUM_ADDRESSES": 20, "MAXIMUM_DATA_LENGTH": 1400,
    "CLOSED": 0, "COOKIE_WAIT": 1, "COOKIE_ECHOED": 2, "ESTABLISHED": 3, "SHUTDOWN_PENDING": 4,
    "SHUTDOWN_RECEIVED": 5, "SHUTDOWN_SENT": 6, "SHUTDOWNACK_SENT": 7,
    "PATH_OK": 0, "PATH_UNREACHABLE": 1, "PATH_ADDED": 2, "PATH_REMOVED": 3, "PATH_CONFIRMED": 4,
    "PATH_UNCONFIRMED": 5,
    "HEARTBEAT_ON": 1, "HEARTBEAT_OFF": 0,
    "UNORDERED_DELIVERY": 1, "ORDERED_DELIVERY": 0, "BUNDLING_DISABLED": 1, "BUNDLING_ENABLED": 0,
    "USE_PRIMARY": -1, "INFINITE_LIFETIME": 0xFFFFFFFF, "SEND_RELIABLE": 0xFFFFFFFF, "NO_RETRANSMISSION": 0,
    "NO_CONTEXT": None, "GENERIC_PAYLOAD_PROTOCOL_ID": 0,
    "MSG_DEFAULT": 0, "MSG_PEEK": 2,
    "CHECKSUM_ALGORITHM_CRC32C": 1, "CHECKSUM_ALGORITHM_ADLER32": 2,
    "SEND_QUEUE": 1,
    "COMM_UP_RECEIVED_VALID_COOKIE": 1, "COMM_UP_RECEIVED_COOKIE_ACK": 2, "COMM_UP_RECEIVED_COOKIE_RESTART": 3,
    "COMM_LOST_ABORTED": 1, "COMM_LOST_ENDPOINT_UNREACHABLE": 2, "COMM_LOST_EXCEEDED_RETRANSMISSIONS": 3,
    "COMM_LOST_NO_TCB": 4, "COMM_LOST_INVALID_PARAMETER": 8, "COMM_LOST_FAILURE": 9, "SHUTDOWN_COMPLETE": 10,
    "SUCCESS": 0, "SPECIFIC_FUNCTION_ERROR": 1, "LIBRARY_NOT_INITIALIZED": -1, "INSTANCE_NOT_FOUND": -2,
    "ASSOC_NOT_FOUND": -3, "PARAMETER_PROBLEM": -4, "MODULE_NOT_FOUND": -5, "OUT_OF_RESOURCES": -6,
    "NOT_SUPPORTED": -7, "INSUFFICIENT_PRIVILEGES": -8, "LIBRARY_ALREADY_INITIALIZED": -9,
    "UNSPECIFIED_ERROR": -10, "QUEUE_EXCEEDED": -11, "WRONG_ADDRESS": -12, "WRONG_STATE": -13,
    "BUFFER_TOO_SMALL": -14, "NO_CHUNKS_IN_QUEUE": -15, "INSTANCE_IN_USE": -16,
    "MAJOR_VERSION": 1, "MINOR_VERSION": 0, "TINY_VERSION": 8,
}  # fmt: skip
# Fields in the original's order; what is ours comes behind.
STRUCTURES = {
    "SCTP_LibraryParameters": "sendOotbAborts checksumAlgorithm supportPRSCTP supportADDIP",
    "SCTP_InstanceParameters": "noOfLocalAddresses localAddressList rtoInitial rtoMin rtoMax validCookieLife "
    "outStreams inStreams supportUnreliableStreams supportADDIP assocMaxRetransmits pathMaxRetransmits "
    "maxInitRetransmits myRwnd delay ipTos maxSendQueue maxRecvQueue maxNumberOfAssociations",
    "SCTP_AssociationStatus": "state numberOfAddresses primaryDestinationAddress sourcePort destPort outStreams "
    "inStreams supportUnreliableStreams supportADDIP primaryAddressIndex currentReceiverWindowSize "
    "outstandingBytes noOfChunksInSendQueue noOfChunksInRetransmissionQueue noOfChunksInReceptionQueue "
    "rtoInitial rtoMin rtoMax validCookieLife assocMaxRetransmits pathMaxRetransmits maxInitRetransmits "
    "myRwnd delay ipTos maxSendQueue maxRecvQueue",
    "SCTP_PathStatus": "destinationAddress state srtt rto rttvar heartbeatIntervall cwnd cwnd2 partialBytesAcked "
    "ssthresh outstandingBytesPerAddress mtu ipTos",
    "SCTP_ulpCallbacks": "dataArriveNotif sendFailureNotif networkStatusChangeNotif communicationUpNotif "
    "communicationLostNotif communicationErrorNotif restartNotif peerShutdownReceivedNotif shutdownCompleteNotif "
    "queueStatusChangeNotif asconfStatusNotif",
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name):
    assert getattr(sctplib, "SCTP_" + name) == CONSTANTS[name]


def test_no_constant_is_there_that_the_original_has_not():
    there = {name for name in sctplib.__all__ if name.isupper() and name.startswith("SCTP_")}
    assert there == {"SCTP_" + name for name in CONSTANTS}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name):
    fields = [field.name for field in dataclasses.fields(getattr(sctplib, name))]
    wanted = STRUCTURES[name].split()
    assert fields[: len(wanted)] == wanted
    assert fields[len(wanted) :] == (["remoteUdpPort", "heartbeatIntervall"] if "Instance" in name else [])
