"""Byte vectors of RSPLIB, and what its parser takes, refuses and keeps silent about."""

from dataclasses import replace

import pytest

from rserpool.wire import asap, causes, enrp, parameters, policies, tlv
from rserpool.wire.types import (
    DCCP,
    OPAQUE,
    SCTP,
    TCP,
    UDP,
    UDP_LITE,
    DecodeError,
    PoolElement,
    ServerInformation,
    Transport,
    UnknownMessage,
)

from .vectors import (
    ASAP,
    ELEMENT,
    ELEMENT_X,
    ENRP,
    HANDLE,
    HOME,
    IDS,
    PE,
    PE_ID,
    PEX,
    PH,
    PID,
    POL,
    POLICIES,
    SECOND,
    SERVER,
    UT,
    hexed,
)


@pytest.mark.parametrize("name", ASAP)
def test_asap(name):
    message, text = ASAP[name]
    assert asap.encode(message).hex() == hexed(text).hex()
    assert asap.decode(hexed(text)) == message


@pytest.mark.parametrize("name", ENRP)
def test_enrp(name):
    message, text = ENRP[name]
    assert enrp.encode(message).hex() == hexed(text).hex()
    assert enrp.decode(hexed(text)) == message


@pytest.mark.parametrize("policy, text", POLICIES, ids=[policies.NAMES[p.type] for p, _ in POLICIES])
def test_policies(policy, text):
    assert parameters.encode_policy(policy) == hexed(text)
    assert policies.decode(hexed(text), 4, len(hexed(text))) == policy
    surplus = hexed(text) + bytes(8)
    assert policies.decode(surplus, 4, len(surplus)) == policy


def test_every_policy_has_a_vector():
    assert {p.type for p, _ in POLICIES} == set(policies.LAYOUTS)


def message(kind: int, body: str, flags: int = 0) -> bytes:
    data = hexed(body)
    return bytes((kind, flags)) + (4 + len(data)).to_bytes(2, "big") + data


def refusal(kind: int, body: str, protocol=asap) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        protocol.decode(message(kind, body))
    return caught.value


SKIP, SKIP_REPORT, STOP, STOP_REPORT = (
    "80990008 aabbccdd",
    "c0990008 aabbccdd",
    "00990008 aabbccdd",
    "40990008 aabbccdd",
)


@pytest.mark.parametrize("tlv_", [SKIP, SKIP_REPORT])
def test_skippable_parameters_are_skipped(tlv_):
    assert asap.decode(message(1, tlv_ + PH + PE)) == asap.Registration(HANDLE, ELEMENT)
    assert asap.decode(message(1, PH + tlv_ + PE)) == asap.Registration(HANDLE, ELEMENT)
    assert asap.decode(message(5, PH + tlv_)) == asap.HandleResolution(HANDLE)
    assert asap.decode(message(6, PH + POL + PE + tlv_)).elements == [ELEMENT]


def test_parameters_that_stop():
    assert refusal(1, STOP + PH + PE).silent
    error = refusal(1, STOP_REPORT + PH + PE)
    assert (error.cause, error.tlv, error.silent) == (causes.UNRECOGNIZED_PARAMETER, hexed(STOP_REPORT), False)
    for stop in (STOP, STOP_REPORT):
        error = refusal(1, PH + stop + PE)
        assert (error.cause, error.tlv, error.silent) == (causes.INVALID_TLV, hexed(stop), False)
    assert refusal(5, PH + STOP).silent
    assert refusal(5, PH + STOP_REPORT).cause == causes.UNRECOGNIZED_PARAMETER


@pytest.mark.parametrize("tlv_", [SKIP, SKIP_REPORT, STOP, STOP_REPORT, PID])
def test_nothing_may_follow_a_registration(tlv_):
    error = refusal(1, PH + PE + tlv_)
    assert (error.cause, error.silent) == (causes.INVALID_MESSAGE, False)


def test_registration_with_asap_transport_is_taken():
    assert asap.decode(message(1, PH + PEX)) == asap.Registration(HANDLE, ELEMENT_X)


def test_resolution_option_of_both_numbers():
    assert asap.decode(message(5, PH + "003f0008 00000005")).items == 5
    assert asap.decode(message(5, PH + "803f0008 00000005")).items == 5
    assert refusal(5, PH + "803f0006 00050000").cause == causes.INVALID_VALUE


def pe(transport: str, policy: str = POL, rest: str = "") -> str:
    value = hexed("12345678 aabbccdd 00015f90" + transport + policy + rest)
    return (b"\0\x0a" + (4 + len(value)).to_bytes(2, "big") + value).hex()


def test_pool_element_with_surplus_parameters():
    assert asap.decode(message(1, PH + pe(UT, rest="00990008 01020304"))).element == ELEMENT


@pytest.mark.parametrize(
    "transport, cause, silent",
    [
        ("00990010 13880001 00010008 0a010105", 1, True),  # unknown transport
        ("00040008 13880001", 0x11, False),  # no address
        ("00040006 1388 0000", 0x11, False),
        ("00050020 13880000" + 3 * "00010008 0a010105", 0x11, False),
        ("00060020 13880000" + 3 * "00010008 0a010105", 0x11, False),
        ("00040210 13880001" + 65 * "00010008 0a010105", 0x11, False),
        ("0004000e 13880001 00010006 0a010000", 0x11, False),
    ],
)
def test_bad_transports(transport, cause, silent):
    error = refusal(1, PH + pe(transport))
    assert (error.cause, error.silent) == (cause, silent)


@pytest.mark.parametrize(
    "transport",
    [
        Transport(TCP, 80, ("10.0.0.1",), True),
        Transport(UDP, 53, ("2001:db8::1",)),
        Transport(DCCP, 1234, ("10.0.0.1",), service_code=0xCAFEBABE),
        Transport(UDP_LITE, 1234, ("10.0.0.1",)),
        Transport(OPAQUE, 0, (), opaque=b"whoever knows"),
        Transport(OPAQUE, 0, ()),
        Transport(SCTP, 1, ("127.0.0.1", "::1", "fe80::1")),
        Transport(SCTP, 65535, tuple(f"10.0.0.{i}" for i in range(64))),
    ],
)
def test_all_transports(transport):
    element = replace(ELEMENT, user_transport=transport)
    assert asap.decode(asap.encode(asap.Registration(HANDLE, element))).element == element


def test_opaque_transports_have_a_vector():
    """RFC 5354 section 3.16; it was refused as unknown."""
    element = asap.decode(message(1, PH + pe("00100007 616263 00"))).element
    assert element.user_transport == Transport(OPAQUE, 0, (), opaque=b"abc")


def test_a_registrar_is_not_reached_by_an_opaque_transport():
    information = "000b000c aabbccdd 00100004"
    with pytest.raises(DecodeError):
        enrp.decode(hexed("0101 0020 aabbccdd 01020304 000f0006 29a50000" + information))


def test_long_transports_of_strangers_are_not_kept_in_memory():
    """A skippable parameter of 60,000 bytes in each transport filled the cache with 240 MB."""
    before = parameters._kept_transport.cache_info().currsize
    body = hexed("1388 0001 00010008 0a010105") + tlv.encode(0x8123, bytes(60_000))
    transport, _ = parameters.decode_transport(tlv.encode(4, body), 0, 4 + len(body))
    assert transport == Transport(SCTP, 0x1388, ("10.1.1.5",), True)
    assert parameters._kept_transport.cache_info().currsize == before


def test_the_use_field_is_control_channel_only_if_1():
    for use, control in ((0, False), (1, True), (2, False), (0xFFFF, False)):
        element = asap.decode(message(1, PH + pe(f"00040010 1388{use:04x} 00010008 0a010105"))).element
        assert element.user_transport.control_channel is control


def test_mapped_addresses_are_ipv4():
    assert parameters.encode_address("::ffff:10.1.1.5") == hexed("00010008 0a010105")
    text = "00040020 13880001 00020014 00000000000000000000ffff0a010105".replace("0020", "001c", 1)
    assert asap.decode(message(1, PH + pe(text))).element.user_transport.addresses == ("10.1.1.5",)


@pytest.mark.parametrize("text", ["010.1.1.5", "10.1.1", "10.1.1.5.6", "10.1.1.256", "10.1.1.-5", "1_0.1.1.5", ""])
def test_what_is_no_address_is_refused(text):
    """The quick way for IPv4 must be as strict as `ipaddress`."""
    with pytest.raises(ValueError):
        parameters.encode_address(text)


@pytest.mark.parametrize("text", ["0.0.0.0", "10.1.1.5", "255.255.255.255"])
def test_ipv4_addresses_come_back(text):
    element = replace(ELEMENT, user_transport=Transport(SCTP, 7, (text,)))
    assert asap.decode(asap.encode(asap.Registration(HANDLE, element))).element == element


@pytest.mark.parametrize(
    "policy, cause",
    [
        ("00080006 00010000", 0x11),
        ("00080008 00000002", 0x11),
        ("00080008 00000004", 3),
        ("00080008 40000004", 3),
        ("0008000c 40000002 11111111", 0x11),
        ("00080008 12345678", 0x100B),
    ],
)
def test_bad_policies(policy, cause):
    assert refusal(1, PH + pe(UT, policy)).cause == cause


@pytest.mark.parametrize("length", [0, 33, 200])
def test_pool_handles_have_1_to_32_bytes(length):
    handle = bytes((0, 9)) + (4 + length).to_bytes(2, "big") + b"x" * length + b"\0" * (-length % 4)
    assert refusal(5, handle.hex()).cause == causes.INVALID_VALUE
    with pytest.raises(ValueError):
        asap.encode(asap.HandleResolution(b"x" * length))


def test_only_the_first_cause_is_seen():
    text = PH + PID + "000c0014 0005 0004 0001000c 40990008 7778797a"
    assert asap.decode(message(3, text, 1)) == asap.RegistrationResponse(HANDLE, PE_ID, True, 5)


def test_deregistration_response_with_error():
    message_ = asap.DeregistrationResponse(HANDLE, PE_ID, True, causes.INVALID_VALUE, hexed(PID))
    assert asap.decode(asap.encode(message_)) == message_


def test_presence_needs_checksum_and_server_information():
    server = "000b0018 aabbccdd 00040010 26ad0000 00010008 0a010105"
    assert refusal(1, IDS, enrp).cause == causes.INVALID_MESSAGE
    assert refusal(1, IDS + "000f0006 29a50000", enrp).cause == causes.INVALID_MESSAGE
    assert refusal(1, IDS + "000f0008 000029a5" + server, enrp).cause == causes.INVALID_VALUE
    assert refusal(1, IDS + server, enrp).cause in (causes.INVALID_MESSAGE, causes.UNRECOGNIZED_PARAMETER)


def test_elements_between_registrars_need_transport_and_home():
    homeless = PEX.replace("aabbccdd", "00000000", 1)
    for kind, head in ((4, IDS + "00000000"), (3, IDS)):
        assert refusal(kind, head + PH + PE, enrp).cause == causes.INVALID_REGISTRAR_TRANSPORT
        assert refusal(kind, head + PH + homeless, enrp).cause == causes.INVALID_VALUE
    assert refusal(3, IDS + PEX, enrp).cause == causes.INVALID_MESSAGE


@pytest.mark.parametrize("protocol, kinds", [(asap, range(1, 15)), (enrp, range(1, 11))], ids=["asap", "enrp"])
def test_unknown_types_are_told_apart(protocol, kinds):
    for kind in set(range(256)) - set(kinds):
        with pytest.raises(UnknownMessage) as caught:
            protocol.decode(bytes((kind, 0, 0, 4)))
        assert caught.value.type == kind and caught.value.silent


@pytest.mark.parametrize("protocol", [asap, enrp], ids=["asap", "enrp"])
@pytest.mark.parametrize("data", ["", "01", "010000", "01000003", "01000005", "0100000400000000", "0100ffff"])
def test_wrong_lengths_get_no_answer(protocol, data):
    with pytest.raises(DecodeError) as caught:
        protocol.decode(bytes.fromhex(data))
    assert (caught.value.cause, caught.value.silent) == (causes.INVALID_MESSAGE, True)


def test_errors_in_errors_get_no_answer():
    assert refusal(14, "000c0004").silent
    assert refusal(14, "").silent
    assert refusal(14, STOP_REPORT).silent
    assert refusal(10, IDS, enrp).silent
    assert refusal(10, "", enrp).silent


def test_length_without_the_last_padding_is_taken():
    assert asap.decode(hexed("0b00000d 000d0009 6162636465 000000")) == asap.Cookie(b"abcde")
    assert asap.decode(hexed("0b00000d 000d0009 6162636465")) == asap.Cookie(b"abcde")


def test_announce_with_server_information():
    text = "aabbccdd 000b0018 aabbccdd 00040010 26ad0000 00010008 0a010105"
    assert asap.decode(message(10, text)) == asap.ServerAnnounce(HOME, [SERVER.transport])


def test_udp_port_travels_in_elements_and_servers():
    """The private parameter is the last one of the pool element, where RSPLIB skips it."""
    for element in (replace(ELEMENT, udp_port=9900), replace(ELEMENT_X, udp_port=9900)):
        data = asap.encode(asap.Registration(HANDLE, element))
        assert data.endswith(hexed("9b270008 26ac0000"))
        assert asap.decode(data).element == element
    presence = enrp.Presence(HOME, SECOND, 1, replace(SERVER, udp_port=9900))
    assert enrp.decode(enrp.encode(presence)) == presence


def test_what_cannot_be_encoded():
    for transport in (
        Transport(SCTP, 1, ()),
        Transport(TCP, 1, ("10.0.0.1", "10.0.0.2")),
        Transport(99, 1, ("::1",)),
    ):
        with pytest.raises(ValueError):
            parameters.encode_transport(transport)
    with pytest.raises(ValueError):
        parameters.encode_policy(replace(ELEMENT.policy, type=77))
    with pytest.raises(ValueError):
        asap.encode(asap.Cookie(bytes(65532)))
    with pytest.raises(ValueError):
        enrp.encode(enrp.HandleTableResponse(1, 2, [(HANDLE, ELEMENT_X)] * 1000))
    with pytest.raises(TypeError):
        asap.encode(enrp.ListRequest(1, 2))
    with pytest.raises(TypeError):
        enrp.encode(asap.HandleResolution(HANDLE))


def test_truncated_elements_raise_decode_errors():
    whole = hexed(PE)
    for size in range(len(whole)):
        with pytest.raises(DecodeError):
            asap.decode(message(1, PH + whole[:size].hex()))
        inner = whole[4:size]
        with pytest.raises(DecodeError):
            parameters.decode_element(b"\0\0\0\0" + inner, 4, 4 + len(inner))


def test_types_are_values():
    assert isinstance(ELEMENT, PoolElement) and isinstance(SERVER, ServerInformation)
    assert tlv.encode(parameters.PE_CHECKSUM, b"ab") == hexed("000f0006 61620000")
