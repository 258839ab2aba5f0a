"""TLS between real programs on loopback: what the wire shows, who is refused, what the registrar says of it.

Made with rspcerts, as docs/how-to/tls.md tells it; only the certificates that are no good any more are not.
"""

import re
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from urllib.request import urlopen

import pytest
from rserpool_apps import rspcerts

from rserpool.security.authority import CLIENT, make_certificate

from .helpers import free_udp_ports
from .programs import ours, running

POOL = b"PingPongPool"
QUICK = ("-mentordiscoverytimeout=200", "-profile=fast-lab", "-asapannounce=off", "-enrpannounce=off",
         "-endpointkeepalivetimeoutinterval=5000")  # fmt: skip
ACK = r"Ack #(\d+) from PE"


class Pki:
    """Two authorities, ours and somebody else's; options of the programs."""

    def __init__(self, directory):
        self.ours, self.others = directory / "ours", directory / "others"
        for place in (self.ours, self.others):
            self.make(place, "ca")
            self.make(place, "client", "worker")
        self.make(self.ours, "registrar", "reg1", "-address=127.0.0.1")
        self.make(self.ours, "registrar", "reg2", "-address=127.0.0.1")
        self.make(self.others, "registrar", "reg1", "-address=127.0.0.1")
        past = datetime.now(UTC) - timedelta(days=20)
        make_certificate(self.ours, CLIENT, "expired", days=10, now=past)

    @staticmethod
    def make(directory, *words):
        assert rspcerts.main([*words, f"-directory={directory}"]) == 0

    def option(self, name=None, directory=None, authority=None):
        directory = directory or self.ours
        files = [(authority or directory) / "ca.pem"]
        if name is not None:
            files += [directory / f"{name}.pem", directory / f"{name}-key.pem"]
        return f"-tls={','.join(map(str, files))}"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


class Town:
    """One registrar, or two, and their users; each program has its UDP port."""

    def __init__(self, directory):
        self.directory = directory
        self.udp = free_udp_ports(2)
        self.stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self, program, *options, pcap=None):
        traced = () if pcap is None else (f"-pcap={self.directory / pcap}.pcapng",)
        return self.stack.enter_context(
            running(ours(program, "-transport=userland", "-loglevel=4", "-logcolor=off", *traced, *options))
        )

    def registrar(self, number, *options):
        here = (f"-udp-port={self.udp[number]}", "-asap=127.0.0.1", "-enrp=127.0.0.1", f"-identifier={number + 1}")
        made = self.start("rspregistrar", *here, *QUICK, *options, pcap=f"registrar{number}")
        made.expect("Server ID:")
        made.port = int(made.expect(r"ASAP Address:.* (\d+)/SCTP")[1])
        made.enrp = int(made.expect(r"ENRP Address:.* (\d+)/SCTP")[1])
        return made

    def user(self, program, registrar, *options, pcap=None):
        """A program with the registrar ``number``, at ``port``."""
        number, port = registrar
        where = f"-registrar=127.0.0.1:{port}/{self.udp[number]}"
        return self.start(program, "-udp-port=0", "-asapannounce=off", where, *options, pcap=pcap)

    def trace(self, name):
        return (self.directory / f"{name}.pcapng").read_bytes()


@contextmanager
def town(tmp_path):
    with Town(tmp_path) as made:
        yield made


def run_all(town, registrar_tls, element_tls, user_tls, peer_tls):
    """Two registrars, an element at the first, a user at the second; returns the first registrar."""
    first = town.registrar(0, *registrar_tls)
    # SCTP knows a peer by address and SCTP port: on one host, two with the same ones cannot be told apart.
    second = town.registrar(
        1, "-asap=127.0.0.1:3865", "-enrp=127.0.0.1:9903", *peer_tls, f"-peer=127.0.0.1:{first.enrp}/{town.udp[0]}"
    )
    element = town.user("rspserver", (0, first.port), "-pingpong", *element_tls, pcap="element")
    identifier = element.expect(r"Identifier\s+= \$([0-9a-f]{8})")[1]
    first.expect(rf"Registered PingPongPool/\${identifier}")
    user = town.user("pingpongclient", (1, second.port), "-interval=50", "-count=5", *user_tls, pcap="user")
    assert user.popen.wait(30) == 0, user.output
    assert len(user.matches(ACK)) >= 5
    return first, second, element, identifier


def test_a_trace_shows_no_pool_handle(tmp_path, pki):
    client = (pki.option("worker"),)
    with town(tmp_path) as here:
        first, second, element, identifier = run_all(
            here, (pki.option("reg1"),), client, client, (pki.option("reg2"),)
        )
        assert (first.port, first.enrp) == (3864, 9902)
        first.expect("TLS:.*required of everybody")
        # A dump needs a registrar's certificate.
        target = (f"127.0.0.1:{first.enrp}/{here.udp[0]}", "-udp-port=0")
        dump = here.start("hsdump", *target, pki.option("reg2"), pcap="dump")
        dump.expect("PingPongPool")
        assert dump.popen.wait(10) == 0
        for options in ((), client):
            dump = here.start("hsdump", *target, *options)
            assert dump.popen.wait(20) == 1
            assert not dump.matches("PingPongPool")
        first.expect("TLS: refused .*is not for registrars")
        first.expect("TLS: refused .*does not speak TLS")
        # The element goes on answering keep-alives, and is taken over by the other registrar.
        assert first.end() == 0
        second.expect(r"[Tt]ak(?:ing|en) over|[Tt]akeover", 20)
        # An element without a registrar has nobody to deregister at: on a busy host the call takes its time.
        element.expect(r"Registrar \$00000002 at", 20)
        another = here.user("pingpongclient", (1, second.port), "-interval=50", "-count=5", *client)
        assert another.popen.wait(30) == 0, another.output
        assert element.end() == 0
        second.expect(rf"Removed PingPongPool/\${identifier}: deregistered", 10)
        assert second.end() == 0
        assert len(first.matches("TLS: refused")) == 2, first.output
        assert not second.matches("TLS: refused 127.0.0.1 port .*certificate")
    for name in ("registrar0", "registrar1", "element", "user", "dump"):
        data = here.trace(name)
        assert b"\x16\x03" in data, name  # there are handshakes
        assert POOL not in data, name


def test_without_tls_the_handle_is_seen(tmp_path):
    """What the test above looks for would be found."""
    with town(tmp_path) as here:
        first, second, element, _ = run_all(here, (), (), (), ())
        for program in (element, second, first):
            assert program.end() == 0
    for name in ("registrar0", "registrar1", "element", "user"):
        assert POOL in here.trace(name), name


STRANGERS = {
    # options, what the registrar says, what the stranger says
    "no certificate": (
        lambda p: p.option(),
        "it presents no certificate",
        "asks for a certificate, and we have none",
    ),
    "expired certificate": (
        lambda p: p.option("expired"),
        "certificate has expired",
        "refuses our certificate: expired",
    ),
    "another authority": (
        lambda p: p.option("worker", p.others, p.ours),
        "its certificate is not accepted",
        "does not trust the authority of our certificate",
    ),
    "an authority of their own": (
        lambda p: p.option("worker", p.others),
        "does not trust the authority of our certificate",
        "its certificate is not accepted",
    ),
    "no TLS": (lambda p: None, "it does not speak TLS", "rejected for security reasons"),
}


COUNTED = {
    "no certificate": "no certificate",
    "expired certificate": "expired certificate",
    "another authority": "unknown authority",
    "an authority of their own": "our certificate refused",
    "no TLS": "no TLS",
}


@pytest.mark.parametrize("who", STRANGERS)
def test_strangers_are_refused_and_others_go_on(tmp_path, pki, who):
    option, at_registrar, at_stranger = STRANGERS[who]
    options = [o for o in (option(pki),) if o is not None]
    with town(tmp_path) as here:
        status = f"127.0.0.1:{free_udp_ports(1)[0]}"
        registrar = here.registrar(0, pki.option("reg1"), f"-status={status}")
        place = (0, registrar.port)
        element = here.user("rspserver", place, "-pingpong", pki.option("worker"))
        element.expect(r"Identifier\s+=")
        registrar.expect("Registered PingPongPool", count=1)
        stranger = here.user("rspserver", place, "-pingpong", "-poolhandle=Intruders", *options)
        line = registrar.expect(rf"TLS: refused 127\.0\.0\.1 port \d+: .*{re.escape(at_registrar)}").string
        assert "Traceback" not in registrar.output
        stranger.expect(at_stranger)
        user = here.user("pingpongclient", place, "-interval=50", "-count=5", pki.option("worker"))
        assert user.popen.wait(30) == 0, user.output
        assert len(registrar.matches(r"Registered ")) == 1, line
        assert "Intruders" not in registrar.output
        with urlopen(f"http://{status}/metrics", timeout=5) as answer:
            counted = re.findall(r'reason="TLS: ([^"]+)"} (\d+)', answer.read().decode())
        assert [reason for reason, _ in counted] == [COUNTED[who]]
        assert int(counted[0][1]) >= 1
        for program in (element, registrar):
            assert program.end() == 0


def test_a_registrar_of_another_authority_learns_nothing(tmp_path, pki):
    with town(tmp_path) as here:
        first = here.registrar(0, pki.option("reg1"))
        element = here.user("rspserver", (0, first.port), "-pingpong", pki.option("worker"))
        first.expect("Registered PingPongPool")
        peer = f"-peer=127.0.0.1:{first.enrp}/{here.udp[0]}"
        stranger = here.registrar(1, pki.option("reg1", pki.others, pki.ours), peer)
        first.expect(r"TLS: refused 127\.0\.0\.1 port \d+: its certificate is not accepted")
        stranger.expect(r"TLS: refused 127\.0\.0\.1 port \d+: it does not trust the authority of our certificate")
        assert "PingPongPool" not in stranger.output
        # A pool element is proven, but no registrar.
        posing = here.start("rspregistrar", "-udp-port=0", "-asap=127.0.0.1", "-enrp=127.0.0.1", *QUICK, peer,
                            pki.option("worker"))  # fmt: skip
        first.expect(r"TLS: refused .*is not for registrars")
        assert "PingPongPool" not in posing.output
        for program in (element, first, stranger, posing):
            assert program.end() == 0
