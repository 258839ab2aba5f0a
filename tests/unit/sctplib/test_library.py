"""Initialisation, library parameters, and what calls say before there is a library."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from pysctplib import sctplib
from pysctplib.sctplib import (
    SCTP_LibraryParameters,
    StackConfig,
    sctp_closeLibrary,
    sctp_getLibraryParameters,
    sctp_getLibraryVersion,
    sctp_getUdpPort,
    sctp_initLibrary,
    sctp_setLibraryParameters,
)
from pysctplib.sctplib import constants as c
from pysctplib.sctplib.library import library

ROOT = Path(__file__).parents[3]

# Function, arguments, result before sctp_initLibrary.
NOT_INITIALIZED = [
    ("sctp_registerInstance", (0, 1, 1, ["127.0.0.1"], sctplib.SCTP_ulpCallbacks()), -1),
    ("sctp_unregisterInstance", (1,), -1),
    ("sctp_getInstancePort", (1,), -1),
    ("sctp_getUdpPort", (), -1),
    ("sctp_closeLibrary", (), -1),
    ("sctp_associate", (1, 1, "127.0.0.1", 7), 0),
    ("sctp_associatex", (1, 1, ["127.0.0.1"], 1, 7), 0),
    ("sctp_shutdown", (1,), -1),
    ("sctp_abort", (1,), -1),
    ("sctp_deleteAssociation", (1,), -1),
    ("sctp_send", (1, 0, b"x"), -1),
    ("sctp_send_private", (1, 0, b"x"), -1),
    ("sctp_receive", (1, 0, 10), (-1, b"", 0, 0)),
    ("sctp_receivefrom", (1, 0, 10), (-1, b"", 0, 0, 0)),
    ("sctp_receiveUnsent", (1, 10), (-1, b"", 0, 0, 0, 0, 0, None)),
    ("sctp_receiveUnacked", (1, 10), (-1, b"", 0, 0, 0, 0, 0, None)),
    ("sctp_setLibraryParameters", (SCTP_LibraryParameters(),), -1),
    ("sctp_getLibraryParameters", (), (-1, None)),
    ("sctp_setAssocDefaults", (1, sctplib.SCTP_InstanceParameters()), -1),
    ("sctp_getAssocDefaults", (1,), (-1, None)),
    ("sctp_getAssocStatus", (1,), (-1, None)),
    ("sctp_setAssocStatus", (1, sctplib.SCTP_AssociationStatus()), -1),
    ("sctp_getPathStatus", (1, 0), (-1, None)),
    ("sctp_setPathStatus", (1, 0, sctplib.SCTP_PathStatus()), -1),
    ("sctp_setPrimary", (1, 0), -1),
    ("sctp_getPrimary", (1,), -1),
    ("sctp_getSrttReport", (1, 0), -1),
    ("sctp_changeHeartBeat", (1, 0, 1, 1000), -1),
    ("sctp_requestHeartbeat", (1, 0), -1),
    ("sctp_setFailureThreshold", (1, 3), -1),
    ("sctp_getInstanceID", (1,), (-1, 0)),
    ("sctp_getNumberOfLocalAddresses", (1,), -1),
    ("sctp_getLocalAddress", (1, 0), None),
    ("sctp_sendRawData", (1, 0, bytes(16)), -1),
    ("sctp_eventLoop", (), -1),
    ("sctp_extendedEventLoop", (lambda data: None, lambda data: None), -1),
    ("sctp_getEvents", (), -1),
    ("sctp_startTimer", (1, 0, lambda *_: None), 0),
    ("sctp_stopTimer", (1,), -1),
    ("sctp_restartTimer", (1, 1, 0), 0),
    ("sctp_registerUserCallback", (0, lambda *_: None, None, 1), -1),
    ("sctp_unregisterUserCallback", (0,), -1),
    ("sctp_registerUdpCallback", ("127.0.0.1", 0, lambda *_: None), -1),
    ("sctp_unregisterUdpCallback", (3,), -1),
    ("sctp_sendUdpData", (3, b"x", "127.0.0.1", 9), -1),
    ("sctp_registerStdinCallback", (lambda data: None, 80), -1),
    ("sctp_unregisterStdinCallback", (), -1),
]
ALWAYS = {"sctp_initLibrary", "sctp_getLibraryVersion"}


@pytest.mark.parametrize(("name", "args", "expected"), NOT_INITIALIZED, ids=[row[0] for row in NOT_INITIALIZED])
def test_before_initialisation(name, args, expected):
    assert getattr(sctplib, name)(*args) == expected


def functions():
    return {name for name in sctplib.__all__ if name.startswith("sctp_")}


def test_every_function_is_in_that_table():
    assert functions() == {row[0] for row in NOT_INITIALIZED} | ALWAYS


def test_every_function_is_called_by_a_test_of_its_own_and_documented():
    here = Path(__file__).parent
    trees = [ast.parse(path.read_text()) for path in here.glob("test_*.py")]
    called = {
        node.func.id
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert functions() - called == set()
    reference = (ROOT / "docs" / "reference" / "sctplib.md").read_text()
    documented = {name for name in functions() if re.search(rf"`{name}\(", reference)}
    assert functions() - documented == set()


def test_the_reference_has_the_signatures_that_are_there():
    reference = (ROOT / "docs" / "reference" / "sctplib.md").read_text()
    for name in functions() - {"sctp_send_private"}:
        parameters = ", ".join(inspect.signature(getattr(sctplib, name)).parameters)
        assert f"`{name}({parameters})" in reference, f"{name}({parameters})"


def test_constants_and_structures_of_the_c_header():
    expected = {
        "SCTP_SUCCESS": 0, "SCTP_INSTANCE_IN_USE": -16, "SCTP_NO_CHUNKS_IN_QUEUE": -15, "SCTP_MSG_PEEK": 2,
        "SCTP_SHUTDOWNACK_SENT": 7, "SCTP_PATH_UNCONFIRMED": 5, "SCTP_USE_PRIMARY": -1,
        "SCTP_INFINITE_LIFETIME": 0xFFFFFFFF, "SCTP_SHUTDOWN_COMPLETE": 10, "SCTP_COMM_LOST_FAILURE": 9,
        "SCTP_COMM_UP_RECEIVED_COOKIE_RESTART": 3, "SCTP_MAX_NUM_ADDRESSES": 20, "SCTP_MAX_IP_LEN": 46,
    }  # fmt: skip
    assert {name: getattr(sctplib, name) for name in expected} == expected
    assert sctplib.SCTP_ulpCallbacks.__slots__ == (
        "dataArriveNotif", "sendFailureNotif", "networkStatusChangeNotif", "communicationUpNotif",
        "communicationLostNotif", "communicationErrorNotif", "restartNotif", "peerShutdownReceivedNotif",
        "shutdownCompleteNotif", "queueStatusChangeNotif", "asconfStatusNotif",
    )  # fmt: skip
    assert len(sctplib.SCTP_AssociationStatus.__slots__) == 27
    assert len(sctplib.SCTP_PathStatus.__slots__) == 13
    assert len(sctplib.SCTP_InstanceParameters.__slots__) == 19 + 2


def test_initialisation_happens_once():
    assert sctp_getLibraryVersion() == 0x10000
    assert sctp_initLibrary(StackConfig(udp_port=0)) == c.SCTP_SUCCESS
    try:
        assert sctp_initLibrary() == c.SCTP_LIBRARY_ALREADY_INITIALIZED
        assert 0 < sctp_getUdpPort() < 65536
    finally:
        assert sctp_closeLibrary() == c.SCTP_SUCCESS
    assert sctp_getUdpPort() == c.SCTP_LIBRARY_NOT_INITIALIZED


def test_a_udp_port_in_use_fails_the_initialisation(make_peer):
    taken = make_peer().udp_port
    assert sctp_initLibrary(StackConfig(udp_port=taken)) == c.SCTP_SPECIFIC_FUNCTION_ERROR


def test_library_parameters(lib):
    code, params = sctp_getLibraryParameters()
    assert (code, params) == (0, SCTP_LibraryParameters(1, c.SCTP_CHECKSUM_ALGORITHM_CRC32C, 1, 0))
    params.sendOotbAborts = 0
    assert sctp_getLibraryParameters()[1].sendOotbAborts == 1  # a copy
    assert sctp_setLibraryParameters(params) == c.SCTP_SUCCESS
    assert sctp_getLibraryParameters()[1].sendOotbAborts == 0


def test_pr_sctp_can_be_switched_off_for_associations_to_come(lib):
    def offered():
        endpoints = library().stack.engine.endpoints.values()
        return [endpoint.config.partial_reliability for endpoint in endpoints]

    def register():
        assert sctplib.sctp_registerInstance(0, 1, 1, ["127.0.0.1"], sctplib.SCTP_ulpCallbacks()) > 0

    register()
    assert offered() == [True]
    assert sctp_setLibraryParameters(SCTP_LibraryParameters(supportPRSCTP=0)) == c.SCTP_SUCCESS
    register()
    assert offered() == [False, False]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ((2, 1, 0, 0), c.SCTP_PARAMETER_PROBLEM),
        ((0, 3, 0, 0), c.SCTP_PARAMETER_PROBLEM),
        ((0, 1, -1, 0), c.SCTP_PARAMETER_PROBLEM),
        ((0, 1, 0, 7), c.SCTP_PARAMETER_PROBLEM),
        ((0, c.SCTP_CHECKSUM_ALGORITHM_ADLER32, 0, 0), c.SCTP_NOT_SUPPORTED),
        ((0, 1, 0, 1), c.SCTP_NOT_SUPPORTED),
    ],
)
def test_refused_library_parameters_change_nothing(lib, values, code):
    before = sctp_getLibraryParameters()
    assert sctp_setLibraryParameters(SCTP_LibraryParameters(*values)) == code
    assert sctp_getLibraryParameters() == before
