"""Man pages and completions: complete, well-formed, and working where the tools are there to show it."""

import fcntl
import os
import select
import shutil
import struct
import subprocess
import termios
import time

import pytest
from rserpool_apps import pages


@pytest.mark.parametrize("program", pages.programs(), ids=lambda p: p.name)
def test_every_option_has_its_place(program):
    page = pages.man_page(program)
    for option in program.options():
        assert f".B \\-{option.name}".replace("-", "\\-").replace("\\\\-", "\\-") in page
    assert page.startswith(f'.TH "{program.name.upper()}" 1')
    for line in page.splitlines():
        assert not line.startswith("'")
        assert not line.startswith(".") or line[1:].split()[0] in {"TH", "SH", "TP", "B", "I", "PP"}


def test_groff_finds_nothing_wrong(tmp_path):
    if shutil.which("groff") is None:
        pytest.skip("groff is missing")
    assert pages.main(["man", str(tmp_path)]) == 0
    files = sorted(tmp_path.glob("*.1"))
    assert len(files) == len(pages.PROGRAMS)
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", *files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_mandoc_finds_nothing_wrong(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert pages.main(["man", str(tmp_path)]) == 0
    files = sorted(tmp_path.glob("*.1"))
    assert all('" 1 "1970-01-02" "' in file.read_text().splitlines()[0] for file in files)
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is missing")
    command = ["mandoc", "-T", "lint", "-W", "warning", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rspserver -ech", ["-echo"]),
        ("rspserver -transport = ker", ["kernel"]),
        ("rspregistrar --profile f", ["fast-lab"]),
        ("pingpongclient -interv", ["-interval="]),
        ("cspmonitor -so", ["-sort="]),
    ],
)
def test_bash_completes(line, expected):
    if shutil.which("bash") is None:
        pytest.skip("bash is missing")
    words = line.split()
    script = (
        f"{pages.bash_completion()}\ncompopt() {{ :; }}\n"
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _rserpool_{words[0]}; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == expected


def test_zsh_takes_the_completions(tmp_path):
    text = pages.zsh_completion()
    assert text.startswith("#compdef rspregistrar ")
    if shutil.which("zsh") is None:
        pytest.skip("zsh is missing")
    file = tmp_path / "_rserpool"
    file.write_text(text)
    done = subprocess.run(["zsh", "-n", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


ZSHRC = """
fpath=({folder} $fpath)
autoload -Uz compinit
compinit -u -D
show() {{ print -r -- "$BUFFER" >> {folder}/shown; BUFFER= }}
zle -N show
bindkey '^X' show
setopt no_beep no_list_beep
"""


def completed_by_zsh(folder, lines):
    """What an interactive zsh makes of lines when the tabulator key is pressed at their ends; and all it shows."""
    (folder / "_rserpool").write_text(pages.zsh_completion())
    (folder / ".zshrc").write_text(ZSHRC.format(folder=folder))
    shown = folder / "shown"
    shown.touch()
    master, slave = os.openpty()
    environment = {**os.environ, "ZDOTDIR": str(folder), "TERM": "dumb"}
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 200, 200, 0, 0))  # a list that fits is shown unasked
    command = ["setsid", "--ctty", "zsh", "-d", "-i"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as shell:
        os.close(slave)
        try:
            seen = b""
            for number, line in enumerate(lines, 1):
                os.write(master, f"{line}\t\x18".encode())
                until = time.monotonic() + 30
                while len(shown.read_text().splitlines()) < number:
                    assert time.monotonic() < until, seen
                    if select.select([master], [], [], 0.05)[0]:
                        seen += os.read(master, 65536)
        finally:
            shell.kill()
            os.close(master)
    return shown.read_text().splitlines(), seen.decode(errors="replace")


def test_zsh_completes(tmp_path):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is missing")
    expected = {
        "rspserver -ech": "rspserver -echo ",
        "rspserver -transport=ker": "rspserver -transport=kernel ",
        "rspregistrar -profile=f": "rspregistrar -profile=fast-lab ",
        "pingpongclient -interv": "pingpongclient -interval=",
        "cspmonitor -so": "cspmonitor -sort=",
        "scriptingclient -runid=1 -maxre": "scriptingclient -runid=1 -maxretry=",
        "rspregistrar -peer=10.1.2.3:9901 -pee": "rspregistrar -peer=10.1.2.3:9901 -peer",  # may be given again
        "rspserver -quiet -qui": "rspserver -quiet -qui",  # may not
        "rspregistrar -": "rspregistrar -",
        f"fractalpooluser -file={tmp_path}/.zsh": f"fractalpooluser -file={tmp_path}/.zshrc ",
    }
    lines, screen = completed_by_zsh(tmp_path, expected)
    assert dict(zip(expected, lines)) == expected
    assert "timers to begin with: RSPLIB's, RFC 5353's" in screen


def test_wrong_use_is_an_error(capsys):
    assert pages.main([]) == 1
    assert "Usage" in capsys.readouterr().err
