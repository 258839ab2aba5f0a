"""rsptrace's pictures for documents: SVG, Mermaid, and JSON for other programs.

An SVG has all in it: styles for light and dark, the explanation of a message beside it and, with its fields, where
the mouse points. Mermaid is the language of sequence diagrams that many wikis draw.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from .trace_lanes import Cast, clean, present, text_of, title_of
from .trace_names import Component, real
from .trace_story import Event

LEFT, LANE, ROW, HEAD = 80, 160, 24, 60  # pixels
LETTER = 6.7  # pixels of a letter in the explanations
LONGEST = 110  # letters of an explanation
MERMAID_LIMIT = 50_000  # characters that Mermaid draws unless it is configured otherwise

_STYLE = """
text{font:11px ui-monospace,monospace;fill:#222}.head{font-weight:bold}.time{fill:#888}.note{fill:#555}
.back{fill:#fff}.lane{stroke:#ccc}.mark{fill:#a0208a;font-weight:bold}.label{paint-order:stroke;stroke:#fff;stroke-width:3}
.ASAP{--c:#07788f}.ENRP{--c:#1a7f37}.CSP,.SCTP,.TLS{--c:#777}.service{--c:#9a6700}.bad{--c:#c01c28}
.ASAP,.ENRP,.CSP,.SCTP,.TLS,.service,.bad{stroke:var(--c);fill:var(--c)}text.label{fill:var(--c);stroke:#fff}
@media(prefers-color-scheme:dark){text{fill:#ddd}.back{fill:#161a1f}.note{fill:#aaa}.lane{stroke:#444}
.label{stroke:#161a1f}text.label{stroke:#161a1f}.ASAP{--c:#56c8df}.ENRP{--c:#6fdd8b}.service{--c:#e3b341}.mark{fill:#ee88dd}}
""".strip()
_KNOWN = ("ASAP", "ENRP", "CSP", "SCTP", "TLS")


def _class(event: Event) -> str:
    if event.groups & {"loss", "error"}:
        return "bad"
    return event.protocol if event.protocol in _KNOWN else "service"


def svg(events: Sequence[Event], cast: Cast, begin: float, title: str) -> str:
    """The sequence as an SVG document."""
    lanes = present(events)
    places = {component: LEFT + LANE // 2 + LANE * number for number, component in enumerate(lanes)}
    right = LEFT + LANE * len(lanes)
    longest = max((len(text_of(e)) for e in events), default=0)
    width = round(right + LETTER * min(longest, LONGEST) + 20)
    rows: list[str] = []
    y = HEAD
    for event in events:
        y += ROW
        rows += _svg_event(event, cast, begin, places, right, y)
        if event.mark:
            y += ROW // 2 + 4
            rows.append(f'<text class="mark" x="{right}" y="{y}">{escape(clean(event.mark))}</text>')
    bottom = y + ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom}" '
        f'viewBox="0 0 {width} {bottom}" role="img">',
        f"<title>{escape(clean(title))}</title>", f"<style>{_STYLE}</style>",
        f'<rect class="back" width="{width}" height="{bottom}"/>',
    ]  # fmt: skip
    for component, x in places.items():
        role, _, who = component.name.partition(" at " if component.identifier is None else " $")
        who = who.split(" ")[0] if component.identifier is None else f"${who}"
        parts += [
            f'<text class="head" x="{x}" y="18" text-anchor="middle">{cast.code(component)}: {role}</text>',
            f'<text x="{x}" y="33" text-anchor="middle">{escape(clean(who))}'
            f"<title>{escape(clean(component.detail))}</title></text>",
            f'<line class="lane" x1="{x}" y1="42" x2="{x}" y2="{bottom - 8}"/>',
        ]
    return "\n".join([*parts, *rows, "</svg>", ""])


def _svg_event(
    event: Event, cast: Cast, begin: float, places: dict[Component, int], right: int, y: int
) -> list[str]:
    kind = _class(event)
    start = places[real(event.sender)]
    end = None if event.receiver is None else places[real(event.receiver)]
    told = [text_of(event), event.explanation.section, *(f"{n}: {v}" for n, v in event.explanation.fields)]
    words = clean(text_of(event))
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    parts = [f"<g><title>{escape(chr(10).join(map(clean, told)))}</title>",
             f'<text class="time" x="8" y="{y + 4}">{event.time - begin:9.4f}</text>']  # fmt: skip
    if end is None or end == start:
        parts.append(f'<circle class="{kind}" cx="{start}" cy="{y}" r="3"/>')
        if end is None:
            for radius in (8, 13):
                wave = f"M{start + radius - 3} {y - radius // 2}q4 {radius // 2} 0 {radius}"
                parts.append(f'<path class="{kind}" style="fill:none" d="{wave}"/>')
        middle, anchor = start + 20, "start"
    else:
        sign = 1 if end > start else -1
        parts += [
            f'<line class="{kind}" x1="{start}" y1="{y}" x2="{end - 6 * sign}" y2="{y}"/>',
            f'<path class="{kind}" d="M{end} {y}l{-8 * sign} -4v8z"/>',
        ]
        middle, anchor = (start + end) // 2, "middle"
    parts += [
        f'<text class="label {kind}" x="{middle}" y="{y - 3}" text-anchor="{anchor}">'
        f"{escape(clean(title_of(event)))}</text>",
        f'<text class="note" x="{right}" y="{y + 4}">{escape(words)}</text></g>',
    ]
    return parts


_MERMAID = str.maketrans({"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;", "%": "#37;"})


def _mermaid_text(text: str) -> str:
    return clean(text).translate(_MERMAID)


def mermaid(events: Sequence[Event], cast: Cast) -> str:
    """The sequence as a diagram for Mermaid."""
    lines = ["sequenceDiagram"]
    for component in present(events):
        lines.append(f"    participant {cast.code(component)} as {_mermaid_text(component.name)}")
    for event in events:
        source = cast.code(event.sender)
        words = _mermaid_text(f"{title_of(event)}: {text_of(event)}")
        if event.receiver is None:
            lines.append(f"    Note over {source}: to all: {words}")
        else:
            arrow = "--x" if event.groups & {"loss", "error"} else "->>"
            lines.append(f"    {source}{arrow}{cast.code(event.receiver)}: {words}")
        if event.mark:
            ends = [source, *([cast.code(event.receiver)] if event.receiver is not None else [])]
            lines.append(f"    Note over {','.join(dict.fromkeys(ends))}: {_mermaid_text(event.mark)}")
    return "\n".join([*lines, ""])


def json_line(event: Event, cast: Cast, begin: float) -> str:
    """An event as one line of JSON; times in seconds, ``clock`` since 1970."""
    receiver = event.receiver
    return json.dumps(
        {
            "time": round(event.time - begin, 6),
            "clock": event.time,
            "from": cast.code(event.sender),
            "sender": real(event.sender).name,
            "to": None if receiver is None else cast.code(receiver),
            "receiver": None if receiver is None else real(receiver).name,
            "protocol": event.protocol,
            "message": event.explanation.title,
            "text": event.explanation.text,
            "mark": event.mark,
            "section": event.explanation.section,
            "fields": dict(event.explanation.fields),
            "groups": sorted(event.groups - {"all"}),
        },
        ensure_ascii=False,
    )
