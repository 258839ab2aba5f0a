"""rsptrace's summary: what was counted, how long things took, failovers, takeovers, what could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from pysctplib.trace import associations as sctp
from rserpool.explain.values import counted, identifier

from .trace_lanes import Cast
from .trace_names import real
from .trace_story import Story

TIMES = f"{'':24}{'count':>7}{'min':>10}{'median':>10}{'max':>10}"


def _time(seconds: float) -> str:
    return f"{seconds:>8.2f} s" if seconds >= 1 else f"{1000 * seconds:>7.2f} ms"


def _times(name: str, values: Sequence[float], more: str = "") -> str:
    shown = "".join(_time(v) for v in (min(values), median(values), max(values)))
    return f"  {name:<22}{len(values):>7}{shown}{more}"


def lines(story: Story, cast: Cast, not_read: Counter[str]) -> Iterator[str]:
    """The summary, in lines of at most 80 characters where names allow it."""
    begin = story.begin or 0.0
    associations = story.tracker.associations
    flows = [flow for a in associations for flow in a.flows]
    yield f"{story.packets} packets in {max(story.end - begin, 0):.3f} s"
    if story.messages:
        yield ""
        yield "Messages"
        for (protocol, title), count in sorted(story.messages.items(), key=lambda i: (i[0][0], -i[1], i[0][1])):
            name = title if title.startswith(protocol) else f"{protocol} {title}"
            yield f"  {name:<34}{count:>8}"
    if associations:
        states = Counter(a.state for a in associations)
        yield ""
        shown = ", ".join(f"{n} {states[n]}" for n in (sctp.OPENING, sctp.UP, sctp.CLOSING, sctp.CLOSED,
                                                       sctp.ABORTED) if states[n])  # fmt: skip
        yield f"Associations: {len(associations)} ({shown})"
        yield f"  {sum(f.messages for f in flows)} user messages, {sum(f.octets for f in flows)} bytes"
        yield (f"  {sum(f.retransmissions for f in flows)} retransmissions, "
               f"{sum(f.gap_sacks for f in flows)} SACKs with gaps, "
               f"{sum(f.duplicates for f in flows)} TSNs reported twice")  # fmt: skip
        incomplete = sum(f.incomplete + len(f.parts) for f in flows)
        if incomplete:
            yield f"  {incomplete} fragments of messages that are not whole in the capture"
    measured: list[tuple[str, list[float], str]] = [
        ("association set-up", [a.up - a.begin for a in associations if a.up is not None and a.seen_setup], ""),
        ("DATA to its SACK", [t for f in flows for t in f.round_trips], ""),
    ]
    measured += [(name, a.times, f"  {a.lost} unanswered" if a.lost else "") for name, a in story.answers.items()]
    if any(values for _, values, _ in measured):
        yield ""
        yield f"{'Times':<24}{TIMES[24:]}"
        yield from (_times(name, values, more) for name, values, more in measured if values)
    yield from _failovers(story, cast, begin)
    yield from _takeovers(story, begin)
    left = not_read + story.tracker.counts
    if story.other_datagrams:
        left["UDP datagrams of other protocols"] += story.other_datagrams
    left.pop("SCTP packets", None)
    if left:
        yield ""
        yield "Also seen"
        yield from (f"  {count:>7} {what}" for what, count in sorted(left.items()))


def _failovers(story: Story, cast: Cast, begin: float) -> Iterator[str]:
    yield ""
    yield f"Failovers: {len(story.failovers)}"
    for failover in story.failovers:
        old = "?" if failover.old is None else real(failover.old).name
        took = "" if failover.seconds is None else f", {failover.seconds:.3f} s after its last word"
        yield (f"  {failover.time - begin:9.4f} {cast.code(failover.user)}: {old.removeprefix('pool element ')} "
               f"to {real(failover.new).name.removeprefix('pool element ')}{took}")  # fmt: skip


def _takeovers(story: Story, begin: float) -> Iterator[str]:
    done = sum(bool(t.elements) for t in story.takeovers)
    begun = f", {len(story.takeovers) - done} more begun" if len(story.takeovers) > done else ""
    yield f"Takeovers: {done}{begun}"
    for takeover in story.takeovers:
        agreed = f", {len(takeover.agreed)} agreed" if takeover.agreed else ""
        last = max(takeover.elements.values(), default=None)
        what = counted(len(takeover.elements), "element")
        how = "not done" if last is None else f"{what}, all within {last - takeover.begin:.3f} s"
        yield (f"  {takeover.begin - begin:9.4f} {identifier(takeover.by)} from {identifier(takeover.target)}"
               f"{agreed}: {how}")  # fmt: skip
