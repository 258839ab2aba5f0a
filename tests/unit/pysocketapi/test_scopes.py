"""IPv6 addresses of a link carry their interface, others do not, whatever scope a kernel tells with them."""

import socket
import struct

import pytest

from pysocketapi.backends.kernel_freebsd import LAYOUT as FREEBSD
from pysocketapi.backends.kernel_linux import LAYOUT as LINUX

INDEX, NAME = socket.if_nameindex()[0]


@pytest.mark.parametrize("layout", [LINUX, FREEBSD])
@pytest.mark.parametrize("host", ["fe80::1", "febf::1"])
def test_an_address_of_a_link_keeps_its_interface(layout, host):
    packed = layout.pack_address((f"{host}%{NAME}", 7))
    assert layout.unpack_address(packed) == ((f"{host}%{NAME}", 7), 28)
    nameless = packed[:24] + struct.pack("=I", 1 << 30)
    assert layout.unpack_address(nameless)[0] == (f"{host}%{1 << 30}", 7)


@pytest.mark.parametrize("layout", [LINUX, FREEBSD])
@pytest.mark.parametrize("host", ["::1", "2001:db8::1", "fec0::1"])
def test_regression_the_loopback_address_had_an_interface(layout, host):
    """Linux tells one, so the peer's address was another one in getpeername than in recvfrom."""
    packed = layout.pack_address((host, 7))[:24] + struct.pack("=I", INDEX)
    assert layout.unpack_address(packed)[0] == (host, 7)
