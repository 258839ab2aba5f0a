"""The tables for FreeBSD's kernel against libusrsctp's header, which is made of FreeBSD's code: a C compiler says.

What that header has otherwise than FreeBSD's (partial delivery events, lists of chunks) or not at all (address
thresholds, some options) is left to the unit tests.
"""

import struct
import subprocess

import pytest

from pysocketapi import constants as c
from pysocketapi import structures as s
from pysocketapi.backends import kernel_freebsd as freebsd
from pysocketapi.options import OPTIONS

from . import helpers

pytestmark = pytest.mark.usrsctp

# Structure: C's name, prefix of its fields, fields that C names otherwise.
STRUCTURES = {
    s.InitMsg: ("sctp_initmsg", "sinit_", {}),
    s.SndInfo: ("sctp_sndinfo", "snd_", {}),
    s.RcvInfo: ("sctp_rcvinfo", "rcv_", {}),
    s.NxtInfo: ("sctp_nxtinfo", "nxt_", {}),
    s.PrInfo: ("sctp_prinfo", "pr_", {}),
    s.DefaultPrInfo: ("sctp_default_prinfo", "pr_", {}),
    s.AuthInfo: ("sctp_authinfo", "auth_", {}),
    s.RtoInfo: ("sctp_rtoinfo", "srto_", {}),
    s.AssocParams: ("sctp_assocparams", "sasoc_", {}),
    s.SetPrim: ("sctp_setprim", "ssp_", {}),
    s.SetAdaptation: ("sctp_setadaptation", "ssb_", {}),
    s.PaddrParams: ("sctp_paddrparams", "spp_", {}),
    s.PaddrInfo: ("sctp_paddrinfo", "spinfo_", {}),
    s.SackInfo: ("sctp_sack_info", "sack_", {}),
    s.AssocValue: ("sctp_assoc_value", "", {"value": "assoc_value"}),
    s.StreamValue: ("sctp_stream_value", "", {}),
    s.Event: ("sctp_event", "se_", {}),
    s.AuthKeyId: ("sctp_authkeyid", "scact_", {}),
    s.UdpEncaps: ("sctp_udpencaps", "sue_", {}),
    s.PrStatus: ("sctp_prstatus", "sprstat_", {}),
    s.AddStreams: ("sctp_add_streams", "sas_", {}),
}
# Names whose numbers are in a table.
NOT_THERE = ("SCTP_PEER_ADDR_THLDS", "SCTP_EVENTS", "SCTP_DEFAULT_SEND_PARAM", "SCTP_ACCEPT_ZERO_CHECKSUM")
NUMBERS = {
    "options": (
        freebsd.OPTIONS,
        [
            option.name
            for number, option in OPTIONS.items()
            if number in freebsd.OPTIONS and option.name not in (*NOT_THERE, "SCTP_INTERLEAVING_SUPPORTED")
        ],
    ),
    **{
        label: (table, ["SCTP_" + word for word in words.split()])
        for label, table, words in (
            (
                "flags",
                freebsd.FLAGS,
                "NOTIFICATION COMPLETE EOF ABORT UNORDERED ADDR_OVER SENDALL EOR SACK_IMMEDIATELY",
            ),
            ("policies", freebsd.POLICIES, "PR_SCTP_NONE PR_SCTP_TTL PR_SCTP_BUF PR_SCTP_RTX"),
            (
                "events",
                freebsd.EVENTS,
                "ASSOC_CHANGE PEER_ADDR_CHANGE REMOTE_ERROR SEND_FAILED SHUTDOWN_EVENT ADAPTATION_INDICATION "
                "PARTIAL_DELIVERY_EVENT AUTHENTICATION_EVENT STREAM_RESET_EVENT SENDER_DRY_EVENT "
                "NOTIFICATIONS_STOPPED_EVENT ASSOC_RESET_EVENT STREAM_CHANGE_EVENT SEND_FAILED_EVENT",
            ),
            (
                "states",
                freebsd.STATES,
                "CLOSED COOKIE_WAIT COOKIE_ECHOED ESTABLISHED SHUTDOWN_SENT SHUTDOWN_RECEIVED SHUTDOWN_ACK_SENT "
                "SHUTDOWN_PENDING",
            ),
            ("states of paths", freebsd.PATH_STATES, "ACTIVE INACTIVE UNCONFIRMED"),
            ("changes", freebsd.ASSOC_CHANGES, "COMM_UP COMM_LOST RESTART SHUTDOWN_COMP CANT_STR_ASSOC"),
            (
                "changes of paths",
                freebsd.PATH_CHANGES,
                "ADDR_AVAILABLE ADDR_UNREACHABLE ADDR_REMOVED ADDR_ADDED ADDR_MADE_PRIM ADDR_CONFIRMED",
            ),
            ("changes of keys", freebsd.KEY_CHANGES, "AUTH_NEW_KEY AUTH_NO_AUTH AUTH_FREE_KEY"),
            ("sent", freebsd.SENT, "DATA_UNSENT DATA_SENT"),
        )
    },
}
# Whole notifications: C's name and the offsets that the readers use.
EVENTS = {
    "sctp_assoc_change": {"sac_state": 8, "sac_error": 10, "sac_assoc_id": 16, "sac_info": 20},
    "sctp_paddr_change": {"spc_aaddr": 8, "spc_state": 136, "spc_error": 140, "spc_assoc_id": 144},
    "sctp_remote_error": {"sre_error": 8, "sre_assoc_id": 12, "sre_data": 16},
    "sctp_send_failed_event": {"ssfe_error": 8, "ssfe_info": 12, "ssfe_assoc_id": 28, "ssfe_data": 32},
    "sctp_shutdown_event": {"sse_assoc_id": 8},
    "sctp_adaptation_event": {"sai_adaptation_ind": 8, "sai_assoc_id": 12},
    "sctp_authkey_event": {
        "auth_keynumber": 8,
        "auth_indication": 12,
        "auth_assoc_id": 16,
    },
    "sctp_sender_dry_event": {"sender_dry_assoc_id": 8},
    "sctp_stream_reset_event": {"strreset_assoc_id": 8, "strreset_stream_list": 12},
    "sctp_assoc_reset_event": {"assocreset_assoc_id": 8, "assocreset_local_tsn": 12, "assocreset_remote_tsn": 16},
    "sctp_stream_change_event": {"strchange_assoc_id": 8, "strchange_instrms": 12, "strchange_outstrms": 14},
    "sctp_status": {"sstat_state": 4, "sstat_rwnd": 8, "sstat_instrms": 16, "sstat_primary": 24},
    "sctp_reset_streams": {"srs_assoc_id": 0, "srs_flags": 4, "srs_number_streams": 6, "srs_stream_list": 8},
    "sctp_authkey": {"sca_assoc_id": 0, "sca_keynumber": 4, "sca_keylength": 6, "sca_key": 8},
}


def offsets(cls):
    """Return {field: offset} of a table's row, and its size: a mark is put into each field in turn."""
    row, fields = freebsd.LAYOUT.rows[cls]
    zeros = [b"" if how == "a" else 0 for _, how in fields]
    found = {}
    for i, (name, how) in enumerate(fields):
        marked = [*zeros[:i], b"\xff" if how == "a" else True if "?" in row.format else 1, *zeros[i + 1 :]]
        packed = row.pack(*marked)
        first = next(at for at, byte in enumerate(packed) if byte)
        found[name] = first if struct.pack("=H", 1)[0] else first & ~1
    return found, row.size


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the compiler says: {expression: number}."""
    helpers.usrsctp_or_skip()
    expressions = [f"sizeof(struct {name})" for name, _, _ in STRUCTURES.values()]
    for cls, (name, prefix, other) in STRUCTURES.items():
        expressions += [f"offsetof(struct {name}, {other.get(f, prefix + f)})" for f in offsets(cls)[0]]
    expressions += [f"offsetof(struct {name}, {field})" for name, fields in EVENTS.items() for field in fields]
    expressions += [name for _, names in NUMBERS.values() for name in names]
    lines = "".join(f'    printf("%s=%ld\\n", "{e}", (long)({e}));\n' for e in expressions)
    source = tmp_path_factory.mktemp("layouts") / "layouts.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <sys/types.h>\n#include <sys/socket.h>\n"
        f"#include <netinet/in.h>\n#include <usrsctp.h>\nint main(void) {{\n{lines}    return 0;\n}}\n"
    )
    program = helpers.compile_c(source, target=source.with_suffix(""))
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True, timeout=30)
    pairs = (line.rpartition("=") for line in done.stdout.splitlines())
    return {expression: int(number) for expression, _, number in pairs}


@pytest.mark.parametrize("cls", STRUCTURES, ids=lambda cls: cls.__name__)
def test_structures(said, cls):
    name, prefix, other = STRUCTURES[cls]
    places, size = offsets(cls)
    assert size == said[f"sizeof(struct {name})"]
    assert places == {f: said[f"offsetof(struct {name}, {other.get(f, prefix + f)})"] for f in places}


@pytest.mark.parametrize("name", EVENTS)
def test_notifications(said, name):
    assert {field: said[f"offsetof(struct {name}, {field})"] for field in EVENTS[name]} == EVENTS[name]


@pytest.mark.parametrize("label", NUMBERS)
def test_numbers(said, label):
    table, names = NUMBERS[label]
    assert {name: said[name] for name in names} == {name: table[getattr(c, name)] for name in names}
