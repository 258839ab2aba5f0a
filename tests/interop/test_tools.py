"""The test tools at a registrar of ours; at that of RSPLIB: `test_rsplib`."""

import re

import pytest

from .helpers import free_udp_ports
from .programs import ours, running

# A rate is measured over some time; so low that nobody is below it.
LIMITS = ("-maxeurate=0.01", "-maxbadpereports=1")


@pytest.fixture
def registrar():
    udp = free_udp_ports(1)[0]
    options = ("-asap=127.0.0.1:3863", "-asapannounce=off", "-enrpannounce=off", f"-udp-port={udp}")
    with running(ours("rspregistrar", "-transport=userland", *options, *LIMITS)) as registrar:
        registrar.expect(r"Server ID:")
        yield f"-registrar=127.0.0.1:3863/{udp}", "-asapannounce=off", "-transport=userland", "-udp-port=0"


def test_elements_are_registered_found_and_slandered(registrar):
    elements = ("-poolelements=30", "-pools=3", "-policy=wrr", "-weight=2")
    with running(ours("testregistrator", *registrar, *elements)) as registrator:
        registrator.expect(r"^30 pool elements are registered")
        assert len(registrator.matches(r"^Registering PE #\d+ in pool TestPool-0002\.\.\.$")) == 10
        pool = ("-poolhandle=TestPool-0003", "-items=4", "-maxruns=3", "-printresults")
        with running(ours("hrestest", *registrar, *pool)) as resolver:
            assert resolver.popen.wait(20) == 0, resolver.output
        assert len(resolver.matches(r"^#\d: Selected 4 items")) == 3
        assert len(resolver.matches(r"^   ID \$[0-9a-f]{8}$")) == 12
        resolver.expect(r"^3 resolutions, 12 items, 0 failures")
        # -maxbadpereports=1 lets one report be enough, -maxeurate none but the first be heard.
        attack = ("-type=handleresolution", "-poolhandle=TestPool-0003", "-reportunreachableprobability=1")
        with running(ours("attacker", *registrar, *attack, "-interval=0.02", "-count=8")) as attacker:
            assert attacker.popen.wait(20) == 0, attacker.output
        assert len(attacker.matches(r"=> Endpoint Unreachable for ID")) == 8
        everyone = ("-poolhandle=TestPool-0003", "-items=10", "-maxruns=1")
        with running(ours("hrestest", *registrar, *everyone)) as resolver:
            assert resolver.popen.wait(20) == 0, resolver.output
        assert 8 <= int(resolver.expect(r"resolutions, (\d+) items")[1]) <= 9
        assert registrator.end() == 0


def test_what_an_attacker_registers_is_found_until_it_goes(registrar):
    options = ("-interval=0.05", "-poolhandle=Strange")
    with running(ours("attacker", *registrar, *options)) as attacker:
        attacker.expect(r"\(Re-\)Registration successful, ID is \$[0-9a-f]{8}", count=5)
        with running(ours("hrestest", *registrar, "-poolhandle=Strange", "-items=4", "-maxruns=1")) as resolver:
            assert resolver.popen.wait(20) == 0, resolver.output
        assert attacker.end() == 0
    assert len(set(re.findall(r"ID is (\$\w+)", attacker.output))) >= 5
    with running(ours("hrestest", *registrar, "-poolhandle=Nobody", "-maxruns=1")) as resolver:
        assert resolver.popen.wait(20) == 1
    resolver.expect("hrestest: unknown pool handle")
