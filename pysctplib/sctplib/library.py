"""The library itself: what exists once in a process, how calls are refused, how they take effect.

SCTPLIB is a process-wide singleton; ``Library`` is its state: the stack, the instances and associations by their
names, the notifications not yet delivered. Calls find it with ``library()``. A call that cannot be done raises
``Refused`` inside, and ``answers`` turns that into SCTPLIB's return code, so no exception reaches the user.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import selectors
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from ..driver import Stack, StackConfig
from . import constants as c
from .structures import SCTP_LibraryParameters, SCTP_ulpCallbacks

if TYPE_CHECKING:
    from ..core.association import Association
    from ..core.config import Config
    from ..core.endpoint import Endpoint

P = ParamSpec("P")
R = TypeVar("R")


class Refused(Exception):
    """A call cannot be done; ``code`` is what it returns."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def answers(*neutral: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a call return the code of ``Refused``, together with ``neutral`` if it has out-parameters."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Refused as refused:
                return cast(R, (refused.code, *neutral) if neutral else refused.code)

        return call

    return decorate


@dataclass(slots=True, eq=False)
class Instance:
    """A registered instance. ``addresses`` as the user gave them; limits in messages and associations, 0: none."""

    name: int
    endpoint: Endpoint
    addresses: tuple[str, ...]
    callbacks: SCTP_ulpCallbacks
    config: Config
    max_send_queue: int = 0
    max_associations: int = 0


@dataclass(slots=True)
class Received:
    """A received message, or what is left of it; ``held`` bytes of it still occupy the receive window."""

    data: bytes
    ssn: int
    tsn: int
    path: int
    held: int


@dataclass(slots=True)
class Leftover:
    """A chunk that an ended association did not get acknowledged. TSN and SSN are 0 if it was never sent."""

    data: bytes
    tsn: int
    stream: int
    ssn: int
    ppid: int
    flags: int
    context: Any


@dataclass(slots=True, eq=False)
class Record:
    """An association as the user of this API sees it; it lives until sctp_deleteAssociation."""

    id: int
    instance: Instance
    association: Association
    ulp_data: Any
    max_send_queue: int
    up: bool = False
    ended: bool = False
    inbox: dict[int, deque[Received]] = field(default_factory=dict)
    parts: dict[tuple[int, bool], list[bytes]] = field(default_factory=dict)
    unsent: deque[Leftover] = field(default_factory=deque)
    unacked: deque[Leftover] = field(default_factory=deque)


@dataclass(slots=True)
class Timer:
    """A timer of the user; ``due`` on the stack's clock."""

    due: float
    callback: Callable[[int, Any, Any], object]
    param1: Any
    param2: Any


@dataclass(slots=True)
class Watch:
    """A descriptor of the user: what to call with the events that occurred, and the events wanted."""

    ready: Callable[[int, int], object]
    events: int


class Library:
    """Everything that exists once. ``dispatching``: callbacks may be running; ``waiting``: the loop waits."""

    def __init__(self, config: StackConfig) -> None:
        self.stack = Stack(config)
        self.parameters = SCTP_LibraryParameters()
        self.instances: dict[int, Instance] = {}
        self.records: dict[int, Record] = {}
        self.pending: deque[Any] = deque()
        self.over_limit: set[Record] = set()
        self.last_association = 0
        self.last_timer = 0
        self.timers: dict[int, Timer] = {}
        self.agenda: list[tuple[float, int]] = []  # heap of (due, timer); stale entries are skipped
        self.running_timer: tuple[int, Timer] | None = None
        self.watches: dict[int, Watch] = {}
        self.udp_sockets: dict[int, socket.socket] = {}
        self.always_ready: set[int] = set()  # descriptors that no selector takes, such as files
        self.stack_fds: set[int] = set()
        self.watched_epoch = -1
        self.dispatching = False
        self.waiting = False
        self.selector = selectors.DefaultSelector()
        self.alarm, self.bell = socket.socketpair()
        for end in self.alarm, self.bell:
            end.setblocking(False)
        self.selector.register(self.alarm, selectors.EVENT_READ)

    def now(self) -> float:
        """Return the time of the stack's clock in seconds."""
        return self.stack.now()

    def changed(self) -> None:
        """Put a call into effect: at once, or at the end of the callbacks that are running.

        A loop that waits in another thread is woken, since there may be something to do earlier now.
        """
        if not self.dispatching:
            self.stack.flush()
        if self.waiting:
            self.wake()

    def wake(self) -> None:
        """End the loop's wait."""
        with contextlib.suppress(BlockingIOError):
            self.bell.send(b"!")

    def add_record(self, instance: Instance, association: Association, ulp_data: Any) -> Record:
        """Give an association a name and a record."""
        name = self.last_association % 0xFFFFFFFF + 1
        while name in self.records:
            name = name % 0xFFFFFFFF + 1
        self.last_association = name
        record = Record(name, instance, association, ulp_data, instance.max_send_queue)
        self.records[name] = association.user = record
        return record

    def add_timer(self, due: float, callback: Callable[[int, Any, Any], object], param1: Any, param2: Any) -> int:
        """Start a timer; return its name."""
        self.last_timer = name = self.last_timer % 0xFFFFFFFF + 1
        self.timers[name] = Timer(due, callback, param1, param2)
        heapq.heappush(self.agenda, (due, name))
        if self.waiting:
            self.wake()
        return name

    def close(self) -> None:
        """Close everything that the library opened."""
        for association in list(self.stack.engine.associations.values()):
            association.abort(self.now(), b"")
        self.stack.flush()
        for opened in self.udp_sockets.values():
            opened.close()
        self.selector.close()
        self.alarm.close()
        self.bell.close()
        self.stack.close()


_library: Library | None = None


def library() -> Library:
    """Return the library; ``Refused`` before sctp_initLibrary."""
    if _library is None:
        raise Refused(c.SCTP_LIBRARY_NOT_INITIALIZED)
    return _library


def instance_of(name: int) -> Instance:
    """Return an instance by its name, or ``Refused``."""
    instance = library().instances.get(name)
    if instance is None:
        raise Refused(c.SCTP_INSTANCE_NOT_FOUND)
    return instance


def record_of(association_id: int) -> Record:
    """Return an association by its name, also when it has ended; or ``Refused``."""
    record = library().records.get(association_id)
    if record is None:
        raise Refused(c.SCTP_ASSOC_NOT_FOUND)
    return record


def living(association_id: int) -> Record:
    """Return an association that has not ended; or ``Refused``."""
    record = record_of(association_id)
    if record.ended:
        raise Refused(c.SCTP_ASSOC_NOT_FOUND)
    return record


def address_of(record: Record, path: int) -> str:
    """Return the peer's address with index ``path``, -1: the primary one; ``Refused`` if there is none."""
    if path == c.SCTP_USE_PRIMARY:
        return record.association.primary.address
    addresses = list(record.association.paths)
    if not 0 <= path < len(addresses):
        raise Refused(c.SCTP_PARAMETER_PROBLEM)
    return addresses[path]


# The functions of the API


def sctp_initLibrary(config: StackConfig | None = None) -> int:
    """Initialise the library. No privileges are needed.

    ``config`` is not in SCTPLIB: the driver's settings, such as StackConfig(udp_port=0) for a UDP port of the
    library's own. Returns SCTP_SUCCESS, SCTP_LIBRARY_ALREADY_INITIALIZED, SCTP_INSUFFICIENT_PRIVILEGES, or
    SCTP_SPECIFIC_FUNCTION_ERROR if sockets cannot be had.
    """
    global _library
    if _library is not None:
        return c.SCTP_LIBRARY_ALREADY_INITIALIZED
    try:
        _library = Library(config or StackConfig())
    except PermissionError:
        return c.SCTP_INSUFFICIENT_PRIVILEGES
    except OSError:
        return c.SCTP_SPECIFIC_FUNCTION_ERROR
    return c.SCTP_SUCCESS


@answers()
def sctp_closeLibrary() -> int:
    """Abort all associations and give everything back; sctp_initLibrary may be called again. Not in SCTPLIB."""
    global _library
    library().close()
    _library = None
    return c.SCTP_SUCCESS


def sctp_getLibraryVersion() -> int:
    """Return the version of the API: the major one in the upper 16 bits, the minor one in the lower."""
    return c.SCTP_MAJOR_VERSION << 16 | c.SCTP_MINOR_VERSION


@answers()
def sctp_getUdpPort() -> int:
    """Return the UDP port that the library receives encapsulated SCTP on (RFC 6951). Not in SCTPLIB."""
    return library().stack.udp_port


@answers()
def sctp_setLibraryParameters(params: SCTP_LibraryParameters) -> int:
    """Set the parameters of the library, all or none.

    SCTP_PARAMETER_PROBLEM unless flags are 0 or 1 and the checksum is one of the two; SCTP_NOT_SUPPORTED for
    Adler-32 (RFC 3309 replaced it) and for ADD-IP, which the engine does not speak. PR-SCTP concerns associations
    to come.
    """
    lib = library()
    flags = (params.sendOotbAborts, params.supportPRSCTP, params.supportADDIP)
    checksums = (c.SCTP_CHECKSUM_ALGORITHM_CRC32C, c.SCTP_CHECKSUM_ALGORITHM_ADLER32)
    if any(flag not in (0, 1) for flag in flags) or params.checksumAlgorithm not in checksums:
        return c.SCTP_PARAMETER_PROBLEM
    if params.checksumAlgorithm != c.SCTP_CHECKSUM_ALGORITHM_CRC32C or params.supportADDIP:
        return c.SCTP_NOT_SUPPORTED
    lib.stack.engine.answer_ootb = bool(params.sendOotbAborts)
    for endpoint in lib.stack.engine.endpoints.values():
        endpoint.config.partial_reliability = bool(params.supportPRSCTP)
    lib.parameters = replace(params)
    return c.SCTP_SUCCESS


@answers(None)
def sctp_getLibraryParameters() -> tuple[int, SCTP_LibraryParameters | None]:
    """Return (code, parameters of the library)."""
    return c.SCTP_SUCCESS, replace(library().parameters)
