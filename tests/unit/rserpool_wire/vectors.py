"""Messages and the bytes that RSPLIB writes for them."""

from dataclasses import replace

from rserpool.wire import asap, enrp
from rserpool.wire import policies as p
from rserpool.wire.types import SCTP, Policy, PoolElement, ServerInformation, Transport


def hexed(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


HANDLE = b"EchoPool"
PE_ID, HOME, SECOND, TARGET = 0x12345678, 0xAABBCCDD, 0x01020304, 0x99999999
USER = Transport(SCTP, 5000, ("10.1.1.5", "2001:db8::5"), control_channel=True)
ASAP_TRANSPORT = Transport(SCTP, 6000, ("10.1.1.5",))
ELEMENT = PoolElement(PE_ID, HOME, 90000, USER, Policy(p.ROUND_ROBIN))
ELEMENT_X = replace(ELEMENT, asap_transport=ASAP_TRANSPORT)
SERVER = ServerInformation(HOME, Transport(SCTP, 9901, ("10.1.1.5",)))

PH = "0009000c 4563686f506f6f6c"
PID = "000e0008 12345678"
POL = "00080008 00000001"
UT = "00040024 13880001 00010008 0a010105 00020014 20010db8000000000000000000000005"
PE = "000a003c 12345678 aabbccdd 00015f90" + UT + POL
AT = "00040010 17700000 00010008 0a010105"
PEX = "000a004c 12345678 aabbccdd 00015f90" + UT + POL + AT
IDS = "aabbccdd 01020304"

ASAP = {
    "registration": (asap.Registration(HANDLE, ELEMENT), "0100004c" + PH + PE),
    "registration response": (asap.RegistrationResponse(HANDLE, PE_ID), "03000018" + PH + PID),
    "registration reject": (
        asap.RegistrationResponse(HANDLE, PE_ID, reject=True, error=5),
        "03010020" + PH + PID + "000c0008 00050004",
    ),
    "deregistration": (asap.Deregistration(HANDLE, PE_ID), "02000018" + PH + PID),
    "deregistration response": (asap.DeregistrationResponse(HANDLE, PE_ID), "04000018" + PH + PID),
    "resolution": (asap.HandleResolution(HANDLE), "05000010" + PH),
    "resolution of 3": (asap.HandleResolution(HANDLE, 3), "05000018" + PH + "803f0008 00000003"),
    "resolution of all": (asap.HandleResolution(HANDLE, 0xFFFFFFFF), "05000018" + PH + "803f0008 ffffffff"),
    "resolution response": (
        asap.HandleResolutionResponse(HANDLE, Policy(p.ROUND_ROBIN), [ELEMENT]),
        "06000054" + PH + POL + PE,
    ),
    "resolution not found": (
        asap.HandleResolutionResponse(HANDLE, None, [], 9),
        "06000018" + PH + "000c0008 00090004",
    ),
    "keep-alive H": (asap.EndpointKeepAlive(HOME, HANDLE, PE_ID, True), "0701001c aabbccdd" + PH + PID),
    "keep-alive of the RFC": (asap.EndpointKeepAlive(HOME, HANDLE), "07000014 aabbccdd" + PH),
    "keep-alive ack": (asap.EndpointKeepAliveAck(HANDLE, PE_ID), "08000018" + PH + PID),
    "unreachable": (asap.EndpointUnreachable(HANDLE, PE_ID), "09000018" + PH + PID),
    "announce": (asap.ServerAnnounce(HOME, []), "0a000008 aabbccdd"),
    "announce with transport": (asap.ServerAnnounce(HOME, [ASAP_TRANSPORT]), "0a000018 aabbccdd" + AT),
    "announce with UDP port": (asap.ServerAnnounce(HOME, [], 9900), "0a000010 aabbccdd 9b270008 26ac0000"),
    "cookie": (asap.Cookie(b"abcde"), "0b000010 000d0009 6162636465 000000"),
    "cookie echo": (
        asap.CookieEcho(b"<PP-TD1>" + bytes(7) + b"\2"),
        "0c000018 000d0014 3c50502d5444313e 0000000000000002",
    ),
    "business card": (
        asap.BusinessCard(HANDLE, Policy(p.ROUND_ROBIN), [ELEMENT]),
        "0d000054" + PH + POL + PE,
    ),
    "error": (asap.Error(1, hexed("40990008 7778797a")), "0e000014 000c0010 0001000c 40990008 7778797a"),
}

ENRP = {
    "presence R": (
        enrp.Presence(HOME, SECOND, 0x29A5, SERVER, True),
        "0101002c" + IDS + "000f0006 29a50000 000b0018 aabbccdd 00040010 26ad0000 00010008 0a010105",
    ),
    "table request W": (enrp.HandleTableRequest(HOME, SECOND, True), "0201000c" + IDS),
    "table response reject": (enrp.HandleTableResponse(HOME, SECOND, [], True), "0301000c" + IDS),
    "table response M": (
        enrp.HandleTableResponse(HOME, SECOND, [(HANDLE, ELEMENT_X)], False, True),
        "03020064" + IDS + PH + PEX,
    ),
    "update T add": (
        enrp.HandleUpdate(HOME, SECOND, enrp.ADD_PE, HANDLE, ELEMENT_X, True),
        "04010068" + IDS + "00000000" + PH + PEX,
    ),
    "update delete": (
        enrp.HandleUpdate(HOME, SECOND, enrp.DELETE_PE, HANDLE, ELEMENT_X),
        "04000068" + IDS + "00010000" + PH + PEX,
    ),
    "list request": (enrp.ListRequest(HOME, SECOND), "0500000c" + IDS),
    "list response": (
        enrp.ListResponse(HOME, SECOND, [SERVER]),
        "06000024" + IDS + "000b0018 aabbccdd 00040010 26ad0000 00010008 0a010105",
    ),
    "init takeover": (enrp.InitTakeover(HOME, SECOND, TARGET), "07000010" + IDS + "99999999"),
    "init takeover ack": (enrp.InitTakeoverAck(HOME, SECOND, TARGET), "08000010" + IDS + "99999999"),
    "takeover server": (enrp.TakeoverServer(HOME, SECOND, TARGET), "09000010" + IDS + "99999999"),
    "error": (enrp.Error(HOME, SECOND, 0x10), "0a000014" + IDS + "000c0008 00100004"),
}

LOAD, DEGRADATION, DPF, WEIGHT_DPF = 0x11111111, 0x22222222, 0x33333333, 0x44444444
DEGRADED = Policy(0, load=LOAD, load_degradation=DEGRADATION)
LU_DPF = Policy(0, load=LOAD, load_dpf=DPF, distance=0x37)
LUD_DPF = replace(LU_DPF, load_degradation=DEGRADATION)
PL = "11111111 22222222"
POLICIES = [
    (Policy(p.ROUND_ROBIN), "00080008 00000001"),
    (Policy(p.WEIGHTED_ROUND_ROBIN, weight=7), "0008000c 00000002 00000007"),
    (Policy(p.RANDOM), "00080008 00000003"),
    (Policy(p.WEIGHTED_RANDOM, weight=7), "0008000c 00000004 00000007"),
    (Policy(p.PRIORITY, priority=7), "0008000c 00000005 00000007"),
    (Policy(p.LEAST_USED, load=LOAD), "0008000c 40000001 11111111"),
    (replace(DEGRADED, type=p.LEAST_USED_DEGRADATION), "00080010 40000002" + PL),
    (replace(DEGRADED, type=p.PRIORITY_LEAST_USED), "00080010 40000003" + PL),
    (Policy(p.RANDOMIZED_LEAST_USED, load=LOAD), "0008000c 40000004 11111111"),
    (replace(DEGRADED, type=p.RANDOMIZED_PRIORITY_LEAST_USED), "00080010 b0001001" + PL),
    (replace(DEGRADED, type=p.RANDOMIZED_LEAST_USED_DEGRADATION), "00080010 b0001002" + PL),
    (replace(DEGRADED, type=p.PRIORITY_LEAST_USED_DEGRADATION), "00080010 b0001003" + PL),
    (replace(DEGRADED, type=p.RANDOMIZED_PRIORITY_LEAST_USED_DEGRADATION), "00080010 b0001004" + PL),
    (
        Policy(p.WEIGHTED_RANDOM_DPF, weight=7, weight_dpf=WEIGHT_DPF, distance=0x37),
        "00080014 b0002001 00000007 44444444 00000037",
    ),
    (replace(LU_DPF, type=p.LEAST_USED_DPF), "00080014 b0002002 11111111 33333333 00000037"),
    (
        replace(LUD_DPF, type=p.LEAST_USED_DEGRADATION_DPF),
        "00080018 b0002003 11111111 22222222 33333333 00000037",
    ),
    (replace(LUD_DPF, type=p.PRIORITY_LEAST_USED_DPF), "00080018 b0002004" + PL + "33333333 00000037"),
    (
        replace(LUD_DPF, type=p.PRIORITY_LEAST_USED_DEGRADATION_DPF),
        "00080018 b0002005" + PL + "33333333 00000037",
    ),
]
