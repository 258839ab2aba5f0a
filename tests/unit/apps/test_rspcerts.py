"""rspcerts and the ``-tls`` options: files that fit together, and words for what does not."""

import pytest
from rserpool_apps import rspcerts, rspregistrar
from rserpool_apps.common import SHARED
from rserpool_apps.library import settings_of
from rserpool_apps.options import Program, UsageError, parse

from rserpool import options
from rserpool.registrar.config import RegistrarConfig
from rserpool.settings import Settings

USER = Program("rspthing", "Does things.", SHARED)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What rspcerts prints for a registrar and a client: their options."""
    directory = tmp_path_factory.mktemp("certs")
    assert rspcerts.main(["ca", f"-directory={directory}", "-days=30"]) == 0
    return directory


def option(capsys, files, *words):
    assert rspcerts.main([*words, f"-directory={files}"]) == 0
    return capsys.readouterr().out.strip()


def test_what_it_prints_is_the_option_of_the_programs(files, capsys):
    registrar = option(capsys, files, "registrar", "reg1", "-address=127.0.0.1", "-address=::1")
    config = rspregistrar.config_of(parse(rspregistrar.PROGRAM, [registrar, "-peer=127.0.0.1"]))
    config.validate()
    assert config.tls.certified
    assert config.peers[0].port == 9902
    client = option(capsys, files, "client", "worker")
    assert settings_of(parse(USER, [client])).tls.certified
    settings = Settings()
    assert options.take(settings, client)
    assert settings.tls.certified
    assert "tls" not in parse(USER, []).given
    assert settings_of(parse(USER, [])).tls is None


def test_off_is_the_default_and_changes_nothing():
    config = rspregistrar.config_of(parse(rspregistrar.PROGRAM, ["-peer=127.0.0.1"]))
    assert config.tls is None
    assert config.peers[0].port == 9901


def test_a_registrar_needs_a_certificate(files):
    values = parse(rspregistrar.PROGRAM, [f"-tls={files}/ca.pem"])
    with pytest.raises(ValueError, match="certificate of the registrar's own"):
        rspregistrar.config_of(values).validate()
    RegistrarConfig().validate()


@pytest.mark.parametrize("text", ["", "none.pem", "a.pem,b.pem", "a,b,c,d", ",,"])
def test_files_that_are_no_good(text):
    with pytest.raises(UsageError, match="option -tls"):
        parse(USER, [f"-tls={text}"])
    with pytest.raises(ValueError, match=r"^-tls"):
        options.take(Settings(), f"-tls={text}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ca"], "exists"),
        (["client"], "needs a name"),
        (["registrar"], "needs a name"),
        (["client", "x", "-address=10.0.0.1"], "any address"),
        (["ca", "-address=10.0.0.1"], "no addresses"),
        (["registrar", "x", "-address=somewhere"], "somewhere"),
        (["client", "a/b"], "no name"),
        (["king", "x"], "ca, registrar, client"),
        ([], "role is missing"),
    ],
)
def test_bad_wishes_are_explained(files, capsys, words, said):
    before = sorted(files.iterdir())
    assert rspcerts.main([*words, f"-directory={files}"]) == 1
    assert said in capsys.readouterr().err
    assert sorted(files.iterdir()) == before


def test_without_an_authority(tmp_path, capsys):
    assert rspcerts.main(["client", "x", f"-directory={tmp_path}"]) == 1
    assert "rspcerts ca" in capsys.readouterr().err
