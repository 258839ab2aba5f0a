"""Messages as known byte vectors, in both directions; and what the decoders forgive or refuse.

The vectors follow the formats of RFC 5352 to 5354 and 5356 with RSPLIB's additions.
"""

from __future__ import annotations

import random

import pytest

from rserpool.wire import asap, causes, enrp, policies
from rserpool.wire.types import (
    DCCP,
    SCTP,
    TCP,
    UDP,
    UDP_LITE,
    DecodeError,
    Policy,
    PoolElement,
    ServerInformation,
    Transport,
)

PH = "0009000c 4563686f506f6f6c"
PID = "000e0008 12345678"
POL = "00080008 00000001"
UT = "00040024 13880001 00010008 0a010105 00020014 20010db8000000000000000000000005"
PE = f"000a003c 12345678 aabbccdd 00015f90 {UT} {POL}"
AT = "00040010 17700000 00010008 0a010105"
PEX = f"000a004c 12345678 aabbccdd 00015f90 {UT} {POL} {AT}"

HANDLE = b"EchoPool"
ROUND_ROBIN = Policy(policies.ROUND_ROBIN)
USER = Transport(SCTP, 5000, ("10.1.1.5", "2001:db8::5"), control_channel=True)
ASAP = Transport(SCTP, 6000, ("10.1.1.5",))
ELEMENT = PoolElement(0x12345678, 0xAABBCCDD, 90000, USER, ROUND_ROBIN)
ELEMENT_X = PoolElement(0x12345678, 0xAABBCCDD, 90000, USER, ROUND_ROBIN, ASAP)
SERVER = ServerInformation(0xAABBCCDD, Transport(SCTP, 9901, ("10.1.1.5",)))
ID, SENDER, RECEIVER, TARGET = 0x12345678, 0xAABBCCDD, 0x01020304, 0x99999999

ASAP_VECTORS = [
    (f"0100004c {PH} {PE}", asap.Registration(HANDLE, ELEMENT)),
    (f"03000018 {PH} {PID}", asap.RegistrationResponse(HANDLE, ID)),
    (f"03010020 {PH} {PID} 000c0008 00050004", asap.RegistrationResponse(HANDLE, ID, True, 5)),
    (f"02000018 {PH} {PID}", asap.Deregistration(HANDLE, ID)),
    (f"04000018 {PH} {PID}", asap.DeregistrationResponse(HANDLE, ID)),
    (f"05000010 {PH}", asap.HandleResolution(HANDLE)),
    (f"05000018 {PH} 803f0008 00000003", asap.HandleResolution(HANDLE, 3)),
    (f"05000018 {PH} 803f0008 ffffffff", asap.HandleResolution(HANDLE, 0xFFFFFFFF)),
    (f"06000054 {PH} {POL} {PE}", asap.HandleResolutionResponse(HANDLE, ROUND_ROBIN, [ELEMENT])),
    (f"06000018 {PH} 000c0008 00090004", asap.HandleResolutionResponse(HANDLE, None, [], 9)),
    (f"0701001c aabbccdd {PH} {PID}", asap.EndpointKeepAlive(SENDER, HANDLE, ID, True)),
    (f"07000014 aabbccdd {PH}", asap.EndpointKeepAlive(SENDER, HANDLE)),
    (f"08000018 {PH} {PID}", asap.EndpointKeepAliveAck(HANDLE, ID)),
    (f"09000018 {PH} {PID}", asap.EndpointUnreachable(HANDLE, ID)),
    ("0a000008 aabbccdd", asap.ServerAnnounce(SENDER)),
    ("0b000010 000d0009 6162636465 000000", asap.Cookie(b"abcde")),
    ("0c000018 000d0014 3c50502d5444313e 0000000000000002", asap.CookieEcho(b"<PP-TD1>\0\0\0\0\0\0\0\2")),
    (f"0d000054 {PH} {POL} {PE}", asap.BusinessCard(HANDLE, ROUND_ROBIN, [ELEMENT])),
    ("0e000014 000c0010 0001000c 40990008 7778797a", asap.Error(1, bytes.fromhex("409900087778797a"))),
]
ENRP_VECTORS = [
    (
        "0101002c aabbccdd 01020304 000f0006 29a50000 000b0018 aabbccdd 00040010 26ad0000 00010008 0a010105",
        enrp.Presence(SENDER, RECEIVER, 0x29A5, SERVER, True),
    ),
    ("0201000c aabbccdd 01020304", enrp.HandleTableRequest(SENDER, RECEIVER, True)),
    ("0301000c aabbccdd 01020304", enrp.HandleTableResponse(SENDER, RECEIVER, [], reject=True)),
    (
        f"03020064 aabbccdd 01020304 {PH} {PEX}",
        enrp.HandleTableResponse(SENDER, RECEIVER, [(HANDLE, ELEMENT_X)], more=True),
    ),
    (
        f"04010068 aabbccdd 01020304 00000000 {PH} {PEX}",
        enrp.HandleUpdate(SENDER, RECEIVER, 0, HANDLE, ELEMENT_X, True),
    ),
    (
        f"04000068 aabbccdd 01020304 00010000 {PH} {PEX}",
        enrp.HandleUpdate(SENDER, RECEIVER, 1, HANDLE, ELEMENT_X),
    ),
    ("0500000c aabbccdd 01020304", enrp.ListRequest(SENDER, RECEIVER)),
    (
        "06000024 aabbccdd 01020304 000b0018 aabbccdd 00040010 26ad0000 00010008 0a010105",
        enrp.ListResponse(SENDER, RECEIVER, [SERVER]),
    ),
    ("07000010 aabbccdd 01020304 99999999", enrp.InitTakeover(SENDER, RECEIVER, TARGET)),
    ("08000010 aabbccdd 01020304 99999999", enrp.InitTakeoverAck(SENDER, RECEIVER, TARGET)),
    ("09000010 aabbccdd 01020304 99999999", enrp.TakeoverServer(SENDER, RECEIVER, TARGET)),
    ("0a000014 aabbccdd 01020304 000c0008 00100004", enrp.Error(SENDER, RECEIVER, 0x10)),
]
D, L, F, W = 0x22222222, 0x11111111, 0x33333333, 0x44444444
POLICY_VECTORS = [
    ("00000001", Policy(1)),
    ("00000002 00000007", Policy(2, weight=7)),
    ("00000003", Policy(3)),
    ("00000004 00000007", Policy(4, weight=7)),
    ("00000005 00000007", Policy(5, priority=7)),
    ("40000001 11111111", Policy(0x40000001, load=L)),
    ("40000002 11111111 22222222", Policy(0x40000002, load=L, load_degradation=D)),
    ("40000003 11111111 22222222", Policy(0x40000003, load=L, load_degradation=D)),
    ("40000004 11111111", Policy(0x40000004, load=L)),
    ("b0001001 11111111 22222222", Policy(0xB0001001, load=L, load_degradation=D)),
    ("b0001002 11111111 22222222", Policy(0xB0001002, load=L, load_degradation=D)),
    ("b0001003 11111111 22222222", Policy(0xB0001003, load=L, load_degradation=D)),
    ("b0001004 11111111 22222222", Policy(0xB0001004, load=L, load_degradation=D)),
    ("b0002001 00000007 44444444 00000037", Policy(0xB0002001, weight=7, weight_dpf=W, distance=0x37)),
    ("b0002002 11111111 33333333 00000037", Policy(0xB0002002, load=L, load_dpf=F, distance=0x37)),
    (
        "b0002003 11111111 22222222 33333333 00000037",
        Policy(0xB0002003, load=L, load_degradation=D, load_dpf=F, distance=0x37),
    ),
]


@pytest.mark.parametrize(("text", "message"), ASAP_VECTORS, ids=lambda v: type(v).__name__)
def test_asap(text: str, message: asap.Message) -> None:
    data = bytes.fromhex(text)
    assert asap.encode(message) == data
    assert asap.decode(data) == message


@pytest.mark.parametrize(("text", "message"), ENRP_VECTORS, ids=lambda v: type(v).__name__)
def test_enrp(text: str, message: enrp.Message) -> None:
    data = bytes.fromhex(text)
    assert enrp.encode(message) == data
    assert enrp.decode(data) == message


@pytest.mark.parametrize(("text", "policy"), POLICY_VECTORS)
def test_policy(text: str, policy: Policy) -> None:
    data = bytes.fromhex(text)
    assert policies.encode(policy) == data
    assert policies.decode(data, 0, len(data)) == policy
    surplus = data + b"\1\2\3\4"
    assert policies.decode(surplus, 0, len(surplus)) == policy


def refused(codec: object, text: str) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        codec.decode(bytes.fromhex(text))  # type: ignore[attr-defined]
    return caught.value


def wrap(kind: int, *parts: str) -> str:
    body = bytes.fromhex("".join(parts))
    return (bytes((kind, 0)) + (4 + len(body)).to_bytes(2, "big") + body).hex()


@pytest.mark.parametrize("bits", ["8099", "c099"])
def test_unknown_parameters_that_may_be_skipped(bits: str) -> None:
    extra = f"{bits}0008 01020304"
    expected = asap.Registration(HANDLE, ELEMENT)
    assert asap.decode(bytes.fromhex(wrap(1, extra, PH, PE))) == expected
    assert asap.decode(bytes.fromhex(wrap(1, PH, extra, PE))) == expected
    assert asap.decode(bytes.fromhex(wrap(5, PH, extra))) == asap.HandleResolution(HANDLE)


def test_unknown_parameters_that_stop() -> None:
    silent, reported = "00990008 01020304", "40990008 01020304"
    assert refused(asap, wrap(1, silent, PH, PE)).silent
    error = refused(asap, wrap(1, reported, PH, PE))
    assert (error.cause, error.tlv) == (causes.UNRECOGNIZED_PARAMETER, bytes.fromhex(reported))
    for extra in (silent, reported):
        error = refused(asap, wrap(1, PH, extra, PE))
        assert (error.cause, error.tlv, error.silent) == (causes.INVALID_TLV, bytes.fromhex(extra), False)
    assert refused(asap, wrap(5, PH, silent)).silent
    assert refused(asap, wrap(5, PH, reported)).cause == causes.UNRECOGNIZED_PARAMETER


def test_registration_with_a_surplus_parameter() -> None:
    assert refused(asap, wrap(1, PH, PE, "80990004")).cause == causes.INVALID_MESSAGE


def test_plain_form_of_the_resolution_option() -> None:
    assert asap.decode(bytes.fromhex(wrap(5, PH, "003f0008 00000007"))) == asap.HandleResolution(HANDLE, 7)


def test_pool_element_with_asap_transport_in_registration() -> None:
    assert asap.decode(bytes.fromhex(wrap(1, PH, PEX))) == asap.Registration(HANDLE, ELEMENT_X)


def test_policies_that_are_short_or_unknown() -> None:
    for kind, size, cause in (
        (2, 4, 0x11),
        (0x40000001, 4, 0x11),
        (4, 4, 3),
        (0x40000004, 4, 3),
        (0x77, 4, 0x100B),
    ):
        with pytest.raises(DecodeError) as caught:
            policies.decode(kind.to_bytes(4, "big"), 0, size)
        assert caught.value.cause == cause


@pytest.mark.parametrize(
    "transport",
    [
        Transport(TCP, 80, ("192.0.2.1",), True),
        Transport(UDP, 53, ("2001:db8::1",)),
        Transport(DCCP, 5001, ("192.0.2.1",), service_code=0x12345678),
        Transport(UDP_LITE, 5002, ("192.0.2.9",)),
    ],
)
def test_other_transports(transport: Transport) -> None:
    element = PoolElement(1, 2, 3, transport, ROUND_ROBIN)
    message = asap.Registration(b"x", element)
    assert asap.decode(asap.encode(message)) == message


def test_transport_use_other_than_one_is_data_only() -> None:
    data = asap.encode(asap.Registration(HANDLE, ELEMENT)).replace(
        bytes.fromhex("13880001"), bytes.fromhex("13880007")
    )
    message = asap.decode(data)
    assert isinstance(message, asap.Registration)
    assert not message.element.user_transport.control_channel


def test_transport_without_address_and_bad_handles() -> None:
    bare = f"000a0020 12345678 aabbccdd 00015f90 00040008 13880001 {POL}"
    assert refused(asap, wrap(1, PH, bare)).cause == causes.INVALID_VALUE
    assert refused(asap, wrap(5, "00090004")).cause == causes.INVALID_VALUE
    assert refused(asap, wrap(5, "00090025" + "41" * 33 + "000000")).cause == causes.INVALID_VALUE


def test_mapped_addresses_are_ipv4() -> None:
    mapped = PoolElement(1, 2, 3, Transport(SCTP, 5, ("::ffff:192.0.2.7",)), ROUND_ROBIN)
    message = asap.decode(asap.encode(asap.Registration(b"x", mapped)))
    assert isinstance(message, asap.Registration)
    assert message.element.user_transport.addresses == ("192.0.2.7",)


def test_enrp_needs_asap_transport_and_home() -> None:
    ids = "aabbccdd 01020304 00000000"
    assert refused(enrp, wrap(4, ids, PH, PE)).cause == causes.INVALID_REGISTRAR_TRANSPORT
    homeless = PEX.replace("aabbccdd", "00000000")
    assert refused(enrp, wrap(4, ids, PH, homeless)).cause == causes.INVALID_VALUE


def test_presence_needs_checksum_and_server() -> None:
    ids, server = "aabbccdd 01020304", "000b0018 aabbccdd 00040010 26ad0000 00010008 0a010105"
    assert refused(enrp, wrap(1, ids, server)).cause == causes.INVALID_MESSAGE
    assert refused(enrp, wrap(1, ids, "000f0006 29a50000")).cause == causes.INVALID_MESSAGE
    assert refused(enrp, wrap(1, ids, "000f0008 29a50000", server)).cause == causes.INVALID_VALUE


def test_unknown_messages_and_bad_lengths() -> None:
    assert asap.decode(bytes.fromhex("7f000008 01020304")) == asap.Unknown(0x7F, 0, b"\1\2\3\4")
    assert isinstance(enrp.decode(bytes.fromhex("7f00000c aabbccdd 01020304")), enrp.Unknown)
    assert refused(asap, "05").silent
    assert refused(asap, "05000040 00090004").silent
    assert refused(enrp, "0100000c aabbccdd").silent


def test_udp_port_parameter() -> None:
    element = PoolElement(1, 2, 3, USER, ROUND_ROBIN, ASAP, udp_port=10001)
    message = enrp.HandleUpdate(1, 2, 0, HANDLE, element)
    assert enrp.decode(enrp.encode(message)) == message
    announce = asap.ServerAnnounce(5, udp_port=10001)
    assert asap.decode(asap.encode(announce)) == announce
    presence = enrp.Presence(1, 0, 0xFFFF, ServerInformation(1, ASAP, 10001))
    assert enrp.decode(enrp.encode(presence)) == presence


@pytest.mark.parametrize("codec", [asap, enrp])
def test_nothing_but_decode_error(codec: object) -> None:
    rng = random.Random(5354)
    vectors = [bytes.fromhex(text) for text, _ in ASAP_VECTORS + ENRP_VECTORS]  # type: ignore[operator]
    for _ in range(20000):
        data = bytearray(rng.choice(vectors))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 4, 0xFF, rng.randrange(256)))
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            message = codec.decode(bytes(data))  # type: ignore[attr-defined]
        except DecodeError:
            continue
        codec.encode(message)  # type: ignore[attr-defined]
