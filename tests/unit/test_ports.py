"""The table of ports: a kernel's rules."""

import errno

import pytest

from pysctplib.host.ports import EPHEMERAL, Ports


def code(call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    return caught.value.errno


def test_claims_and_clashes():
    ports, one, other = Ports(), object(), object()
    assert ports.claim(one, 2000, False) == 2000
    assert code(ports.claim, other, 2000, False) == errno.EADDRINUSE
    assert code(ports.claim, one, 2000, False) == errno.EADDRINUSE
    assert code(ports.claim, one, 1023, False) == errno.EACCES
    assert ports.claim(one, 1023, True) == 1023
    assert ports.claim(one, 1024, False) == 1024
    ports.release(other, 2000)
    assert ports.owners[2000] is one
    ports.forget(one)
    assert ports.owners == {}


@pytest.mark.parametrize("port", [-1, 65536, "7", None, 1.5])
def test_what_is_no_port(port):
    with pytest.raises(ValueError):
        Ports().claim(object(), port, True)


def test_free_ports_are_found_even_when_few_are_left():
    ports = Ports(lambda choices: choices[0])
    ports.owners = dict.fromkeys(EPHEMERAL, None)
    assert code(ports.claim, object(), 0, False) == errno.EADDRINUSE
    del ports.owners[60000]
    assert ports.claim(object(), 0, False) == 60000
