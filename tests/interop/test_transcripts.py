"""What our programs print is what RSPLIB's programs printed, line by line but for what is listed."""

import pytest

from . import transcripts


def test_our_programs_print_the_lines_of_the_originals():
    said = transcripts.play()
    for name, text in said.items():
        assert tuple(transcripts.lacking(name, text)) == transcripts.LACKING.get(name, ()), f"{name}:\n{text}"
        assert "Traceback" not in text


@pytest.mark.parametrize("name", sorted(str(p.relative_to(transcripts.GOLDEN))[: -len(".ours.txt")]
                                        for p in transcripts.GOLDEN.rglob("*.ours.txt")))  # fmt: skip
def test_the_recorded_transcripts_have_them_too(name):
    text = (transcripts.GOLDEN / f"{name}.ours.txt").read_text()
    assert tuple(transcripts.lacking(name, text)) == transcripts.LACKING.get(name, ())
