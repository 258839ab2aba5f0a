"""The messages of ENRP in words (RFC 5353 section 2; procedures: section 3)."""

from __future__ import annotations

from pysctplib.trace.explain import Explanation
from rserpool.wire import causes, enrp

from .values import Tellers, counted, identifier, pool, several, told

_ACTIONS = {enrp.ADD_PE: "has (ADD_PE)", enrp.DELETE_PE: "no longer has (DEL_PE)"}


def _presence(m: enrp.Presence) -> str:
    asks = "; asks for an answer (R bit)" if m.reply_required else ""
    return f"is here, checksum 0x{m.checksum:04x} over the elements that it owns{asks}"


def _table_request(m: enrp.HandleTableRequest) -> str:
    what = "the elements that the other one owns (W bit)" if m.own_only else "the whole handlespace"
    return f"asks for {what}"


def _table(m: enrp.HandleTableResponse) -> str:
    if m.reject:
        return "refuses to give its handle table"
    elements = several([e for _, e in m.entries], lambda e: f"PE {identifier(e.identifier)}")
    more = "; more is to come (M bit)" if m.more else ""
    return f"gives {counted(len(m.entries), 'element')}{f': {elements}' if elements else ''}{more}"


def _update(m: enrp.HandleUpdate) -> str:
    action = _ACTIONS.get(m.action, f"(action {m.action})")
    suggested = "; suggests to take it over (T bit)" if m.takeover_suggested else ""
    return (
        f"{action} PE {identifier(m.element.identifier)} in pool {pool(m.handle)}, "
        f"home {identifier(m.element.home)}{suggested}"
    )


def _list_request(m: enrp.ListRequest) -> str:
    return "asks which registrars there are"


def _list(m: enrp.ListResponse) -> str:
    if m.reject:
        return "refuses to give its list of registrars"
    servers = several(m.servers, lambda s: identifier(s.identifier))
    return f"knows {counted(len(m.servers), 'registrar')}{f': {servers}' if servers else ''}"


def _init_takeover(m: enrp.InitTakeover) -> str:
    return f"wants to take over from registrar {identifier(m.target)}, which seems to be dead"


def _ack(m: enrp.InitTakeoverAck) -> str:
    return f"agrees that the other one takes over from registrar {identifier(m.target)}"


def _takeover(m: enrp.TakeoverServer) -> str:
    return f"has taken over the elements of registrar {identifier(m.target)}"


def _error(m: enrp.Error) -> str:
    return f"reports: {causes.text(m.error)}"


_TELLERS: Tellers = {
    enrp.Presence: ("PRESENCE", "2.1", "3.4", _presence),
    enrp.HandleTableRequest: ("HANDLE_TABLE_REQUEST", "2.2", "3.2.3", _table_request),
    enrp.HandleTableResponse: ("HANDLE_TABLE_RESPONSE", "2.3", "3.2.3", _table),
    enrp.HandleUpdate: ("HANDLE_UPDATE", "2.4", "3.3", _update),
    enrp.ListRequest: ("LIST_REQUEST", "2.5", "3.2.2", _list_request),
    enrp.ListResponse: ("LIST_RESPONSE", "2.6", "3.2.2", _list),
    enrp.InitTakeover: ("INIT_TAKEOVER", "2.7", "3.5", _init_takeover),
    enrp.InitTakeoverAck: ("INIT_TAKEOVER_ACK", "2.8", "3.5", _ack),
    enrp.TakeoverServer: ("TAKEOVER_SERVER", "2.9", "3.5", _takeover),
    enrp.Error: ("ERROR", "2.10", "", _error),
}


def explain(message: enrp.Message) -> Explanation:
    """A message of ENRP in words."""
    return told("ENRP", 5353, _TELLERS, message)


def is_monitoring(message: enrp.Message) -> bool:
    """Whether a message only repeats that all is well: presences that ask for no answer."""
    return isinstance(message, enrp.Presence) and not message.reply_required
