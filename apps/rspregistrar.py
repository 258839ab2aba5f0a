"""rspregistrar: a registrar (RFC 5352, RFC 5353) with RSPLIB's options and output.

The registrar itself is `rserpool.registrar`; here are its command line and what it prints.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rserpool.csp import Reporter, location
from rserpool.registrar.config import (
    ASAP_ANNOUNCE,
    ENRP_ANNOUNCE,
    ENRP_PORT,
    PROFILES,
    TLS_PORTS,
    RegistrarConfig,
    StaticPeer,
    with_profile,
)
from rserpool.registrar.shell import RegistrarShell, open_registrar
from rserpool.registrar.state import log
from rserpool.wire import csp, enrp
from rserpool.wire.types import SCTP

from .common import CSP, LOGGING, TLS, TRANSPORT, launch, parse_command_line
from .library import status_reports
from .logs import Output
from .options import Group, Option, Program, Values, version
from .runtime import in_cycles
from .values import (
    Address,
    address,
    address_or,
    capped,
    choice,
    identifier,
    integer,
    milliseconds,
    real,
    seconds,
    text,
)

DEFAULT_MONITOR = ("127.0.0.1", csp.PORT)
REPORT_INTERVAL = 0.25  # seconds, if only the monitor is named
_WORDS = ("auto", "off", "none")
_SCOPES = {"auto": "site-local; loopback within this host", "loopback": "loopback",
           "sitelocal": "site-local", "global": "global"}  # fmt: skip

PROGRAM = Program(
    "rspregistrar",
    "A registrar: keeps the handlespace of an operation scope, tells pool users the pool elements to use, watches "
    "the pool elements, and shares all that with the other registrars.",
    (
        Group(
            "Registrar",
            (
                Option("identifier", "the registrar's identifier", identifier(32), metavar="ID", shown="random"),
                Option("profile", "timers to begin with: RSPLIB's, RFC 5353's, or fast ones for experiments",
                       choice(*PROFILES), "rsplib", "|".join(PROFILES)),
                Option("quiet", "no start-up text, no final line"),
                Option("daemonpidfile", "run in the background; write the process number to this file", text,
                       metavar="FILE"),
                Option("uptime", "failure test: run for a random time with this mean", seconds(0.001),
                       metavar="S"),
                Option("downtime", "failure test: pause for a random time with this mean", seconds(0.001),
                       metavar="S"),
            ),
        ),
        Group(
            "Addresses",
            (
                Option("asap", "where pool elements and pool users connect to", address_or(0, "auto"), "auto",
                       "auto|ADDRESS[:PORT]"),
                Option("enrp", "where other registrars connect to", address_or(0, "auto"), "auto",
                       "auto|ADDRESS[:PORT]"),
                Option("asaptcp", "where pool users without SCTP may connect to by TCP", address(ASAP_ANNOUNCE[1]),
                       metavar="ADDRESS[:PORT]", shown="off"),
                Option("asapannounce", "where to announce this registrar", address_or(ASAP_ANNOUNCE[1], *_WORDS),
                       "auto", "auto|off|GROUP[:PORT]", shown=f"auto: {ASAP_ANNOUNCE[0]}:{ASAP_ANNOUNCE[1]}"),
                Option("enrpannounce", "where registrars find each other", address_or(ENRP_ANNOUNCE[1], *_WORDS),
                       "auto", "auto|off|GROUP[:PORT]", shown=f"auto: {ENRP_ANNOUNCE[0]}:{ENRP_ANNOUNCE[1]}",
                       old=("enrpmulticast",)),
                Option("announcettl", "TTL of announces", integer(1, 255), "30", "1..255"),
                Option("peer", "another registrar's ENRP address", address(),
                       metavar="ADDRESS[:PORT[/UDP]]", repeat=True),
                Option("minaddressscope", "smallest scope of addresses that are registered; auto: site-local, but "
                       "loopback among programs of this host", choice(*_SCOPES), "auto", "|".join(_SCOPES)),
                Option("disable-ipv6", "use IPv4 only"),
                Option("autoclosetimeout", "close associations that are idle so long", seconds(5, 1_000_000),
                       "300", "S"),
            ),
        ),
        Group(
            "ASAP",
            (
                Option("serverannouncecycle", "time between announces", milliseconds(100, 60_000), "1000", "MS"),
                Option("endpointkeepalivetransmissioninterval", "time between keep-alives to a pool element",
                       milliseconds(300, 300_000), "5000", "MS"),
                Option("endpointkeepalivetimeoutinterval", "time to answer one", milliseconds(100, 60_000), "5000",
                       "MS"),
                Option("maxbadpereports", "a pool element is removed after so many reports", integer(1, 2**32 - 1),
                       "3", "N"),
                Option("distancestep", "delays are rounded to it", integer(1, 1_000_000), "50", "MS"),
                Option("maxincrement", "pool elements moved back by a selection, 0: as the policy has it",
                       integer(0, 2**32 - 1), "0", "N"),
                Option("maxhresitems", "pool elements in an answer, at most 128", capped(1, 128), "3", "N"),
                Option("maxhrrate", "handle resolutions per second, pool user and pool, -1: no limit",
                       real(-1, 1e9), "-1", "R"),
                Option("maxeurate", "unreachability reports per second, pool user and pool, -1: no limit",
                       real(-1, 1e9), "-1", "R"),
            ),
        ),
        Group(
            "ENRP",
            (
                Option("peerheartbeatcycle", "time between presences", milliseconds(100, 300_000), "2444", "MS"),
                Option("peermaxtimelastheard", "a silent peer is asked after", milliseconds(100, 300_000), "5000",
                       "MS"),
                Option("peermaxtimenoresponse", "and taken over after", milliseconds(100, 60_000), "5000", "MS"),
                Option("mentordiscoverytimeout", "time to look for a mentor", milliseconds(100, 60_000), "5000",
                       "MS", old=("mentorhuntinterval", "mentorhunttimeout")),
                Option("takeoverexpiryinterval", "time for a takeover", milliseconds(100, 60_000), "5000", "MS"),
                Option("supporttakeoversuggestion", "send and honour takeover suggestions"),
                Option("maxelementsperhtrequest", "pool elements in a part of the handle table, at most 1024",
                       capped(1, 1024), "128", "N"),
            ),
        ),
        Group(
            "Files and status",
            (
                Option("actionlogfile", "write down every message; .bz2: compressed", text, metavar="FILE"),
                Option("statsfile", "write the counters at an interval; .bz2: compressed", text, metavar="FILE"),
                Option("statsinterval", "that interval", milliseconds(10, 36_000_000), "1000", "MS"),
                Option("scalar", "write totals and averages at the end; .bz2: compressed", text, metavar="FILE"),
                Option("object", "the registrar's name in that file", text, "registrar", "NAME"),
                Option("status", "serve the status over HTTP, read-only: /status (JSON), /metrics (Prometheus)",
                       address(need_port=True), metavar="ADDRESS:PORT"),
                Option("hsmgtverify", "check the handlespace after each change (slow)"),
            ),
        ),
        TLS,
        TRANSPORT,
        LOGGING,
        CSP,
    ),
    examples=(
        ("rspregistrar", "Announces itself by multicast; everything else finds it."),
        ("rspregistrar -asap=127.0.0.1:3863 -asapannounce=off", "At a fixed place, without multicast."),
    ),
)  # fmt: skip

# Option -> field of RegistrarConfig, for those that are set as they are.
FIELDS = {
    "announcettl": "announce_ttl",
    "autoclosetimeout": "autoclose",
    "minaddressscope": "min_address_scope",
    "serverannouncecycle": "server_announce_cycle",
    "endpointkeepalivetransmissioninterval": "keepalive_interval",
    "endpointkeepalivetimeoutinterval": "keepalive_timeout",
    "maxbadpereports": "max_bad_reports",
    "distancestep": "distance_step",
    "maxincrement": "max_increment",
    "maxhresitems": "max_answer_items",
    "maxhrrate": "max_resolution_rate",
    "maxeurate": "max_report_rate",
    "peerheartbeatcycle": "heartbeat_cycle",
    "peermaxtimelastheard": "max_last_heard",
    "peermaxtimenoresponse": "max_no_response",
    "mentordiscoverytimeout": "mentor_timeout",
    "takeoverexpiryinterval": "takeover_timeout",
    "supporttakeoversuggestion": "takeover_suggestion",
    "maxelementsperhtrequest": "max_table_items",
    "actionlogfile": "action_log",
    "statsfile": "statistics_file",
    "statsinterval": "statistics_interval",
    "scalar": "scalar_file",
    "object": "object_name",
    "hsmgtverify": "verify",
}


def _group(value: Address | str, default: tuple[str, int]) -> tuple[str, int] | None:
    if isinstance(value, str):
        return default if value == "auto" else None
    return value.addresses[0], value.port


def _endpoint(value: Address | str, ipv4_only: bool) -> tuple[tuple[str, ...], int]:
    if isinstance(value, str):
        return (("0.0.0.0",) if ipv4_only else ()), 0
    return value.addresses, value.port


def config_of(values: Values) -> RegistrarConfig:
    """The registrar's settings; a profile's timers give way to what is set by name."""
    config = with_profile(RegistrarConfig(), values.profile)
    for option, field in FIELDS.items():
        if option in values.given:
            setattr(config, field, getattr(values, option))
    config.identifier = values.identifier or 0
    config.asap_addresses, config.asap_port = _endpoint(values.asap, values.disable_ipv6)
    config.enrp_addresses, config.enrp_port = _endpoint(values.enrp, values.disable_ipv6)
    config.asap_announce = _group(values.asapannounce, ASAP_ANNOUNCE)
    config.enrp_announce = _group(values.enrpannounce, ENRP_ANNOUNCE)
    if values.asaptcp is not None:
        config.asap_tcp = values.asaptcp.addresses[0], values.asaptcp.port or ASAP_ANNOUNCE[1]
    if values.status is not None:
        config.status_address = values.status.addresses[0], values.status.port
    config.tls = values.tls
    enrp_port = ENRP_PORT if config.tls is None else TLS_PORTS["enrp"]
    config.peers = tuple(StaticPeer(p.addresses, p.port or enrp_port, p.udp_port or 9899) for p in values.peer)
    return config


def _ms(value: float) -> str:
    return f"{value * 1000:.0f}ms"


def _rate(value: float) -> str:
    return "unlimited" if value <= 0 else f"{value:g}/s"


def _announce(group: tuple[str, int] | None) -> str:
    return "(none)" if group is None else f"{{{group[0]}}} {group[1]}/UDP"


def _place(addresses: tuple[str, ...], port: int) -> str:
    return f"{{{', '.join(addresses) or '::'}}} {port}/SCTP"


def _report_rows(reports: tuple[tuple[str, int], float] | None) -> list[tuple[str, str]]:
    if reports is None:
        return []
    (host, port), interval = reports
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return [("CSP Report Address", place), ("CSP Report Interval", _ms(interval))]


def reports_of(values: Values) -> tuple[tuple[str, int], float] | None:
    """Where status reports go to, and how often (seconds): a server alone implies an interval, and vice versa."""
    server, interval = status_reports(values)
    if server is None and interval is None:
        return None
    return server or DEFAULT_MONITOR, interval or REPORT_INTERVAL


def describe(shell: RegistrarShell, began: float, interval: float) -> csp.Report:
    """The registrar's status report (RSPLIB's words)."""
    state = shell.registrar.state
    space = state.handlespace
    elements, owned, pools = space.size, space.count(state.identifier), len(space.pools)
    peers = [csp.Association(csp.component(csp.REGISTRAR, p.identifier), None, SCTP, enrp.PPID)
             for p in state.peers.values()]  # fmt: skip
    return csp.Report(
        csp.component(csp.REGISTRAR, state.identifier),
        round((time.monotonic() - began) * 1e6),
        round(interval * 1e6),
        location(shell.asap.port),
        f"{elements}[{owned}] PEs in {pools} Pool{'' if pools == 1 else 's'}, "
        f"{len(peers)} Peer{'' if len(peers) == 1 else 's'}",
        associations=peers,
    )


def start_text(
    config: RegistrarConfig,
    ident: int,
    asap_port: int,
    enrp_port: int,
    transport: str,
    daemon: bool,
    reports: tuple[tuple[str, int], float] | None = None,
) -> list[str]:
    """The text at the start, in RSPLIB's form."""
    title = f"The {version()} Registrar"
    rows: list[tuple[str, str]] = [
        ("Server ID", f"${ident:08x}"),
        ("ASAP Address", _place(config.asap_addresses, asap_port)),
        ("ENRP Address", _place(config.enrp_addresses, enrp_port)),
        ("ASAP Announce Address", _announce(config.asap_announce)),
        ("ENRP Announce Address", _announce(config.enrp_announce)),
        ("ASAP/ENRP Announce TTL", str(config.announce_ttl)),
        *_report_rows(reports),
        ("Auto-Close Timeout", f"{config.autoclose:g}s"),
        ("Min Address Scope", _SCOPES[config.min_address_scope]),
        ("Daemon Mode", "on" if daemon else "off"),
        ("Transport", transport),
    ]
    blocks: list[tuple[str, list[tuple[str, str]]]] = [
        ("ASAP Parameters", [
            ("Distance Step", f"{config.distance_step}ms"),
            ("Max Bad PE Reports", str(config.max_bad_reports)),
            ("Server Announce Cycle", _ms(config.server_announce_cycle)),
            ("Endpoint Keep Alive Transmission Interval", _ms(config.keepalive_interval)),
            ("Endpoint Keep Alive Timeout Interval", _ms(config.keepalive_timeout)),
            ("Max Increment", str(config.max_increment)),
            ("Max Handle Resolution Items (MaxHResItems)", str(config.max_answer_items)),
        ]),
        ("ENRP Parameters", [
            ("Peer Heartbeat Cycle", _ms(config.heartbeat_cycle)),
            ("Peer Max Time Last Heard", _ms(config.max_last_heard)),
            ("Peer Max Time No Response", _ms(config.max_no_response)),
            ("Max Elements per Handle Table Request", str(config.max_table_items)),
            ("Mentor Hunt Timeout", _ms(config.mentor_timeout)),
            ("Takeover Expiry Interval", _ms(config.takeover_timeout)),
            ("Support for Takeover Suggestion", "on" if config.takeover_suggestion else "off"),
        ]),
        ("Security Parameters", [
            ("Max Handle Resolution Rate", _rate(config.max_resolution_rate)),
            ("Max Endpoint Unreachable Rate", _rate(config.max_report_rate)),
            *([("TLS", "required of everybody")] if config.tls is not None else []),
        ]),
    ]  # fmt: skip
    lines = [title, "=" * len(title), ""]
    lines += [f"{name + ':':<24}{value}" for name, value in rows]
    lines.append("")
    for name, block in blocks:
        lines.append(f"{name}:")
        lines += [f"   {key + ':':<45}{value}" for key, value in block]
    return [*lines, ""]


async def serve(values: Values, config: RegistrarConfig, transport: str, out: Output) -> int:
    """Run the registrar until it is cancelled."""
    reports = reports_of(values)
    shell: RegistrarShell = await open_registrar(config)
    reporter = None
    try:
        if reports is not None:
            began = time.monotonic()
            reporter = Reporter(*reports, lambda: describe(shell, began, reports[1]))
        if not values.quiet:
            for line in start_text(config, shell.registrar.identifier, shell.asap.port, shell.enrp.port, transport,
                                   values.daemonpidfile is not None, reports):  # fmt: skip
                out.line(line)
        log.info("Registrar started. Going into initialization phase...")
        await shell.run()
    finally:
        if reporter is not None:
            reporter.close()
        await shell.close()
    return 0


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = parse_command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    config = config_of(values)
    out = Output()

    async def work(transport: str) -> int:
        return await in_cycles(lambda: serve(values, config, transport, out), values.uptime, values.downtime)

    return launch(PROGRAM, values, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
