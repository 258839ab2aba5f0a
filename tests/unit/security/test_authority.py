"""The authority's files: who may read them, what is not overwritten, what names are taken."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rserpool.security.authority import (
    CLIENT,
    REGISTRAR,
    certificate_file,
    key_file,
    make_authority,
    make_certificate,
)
from rserpool.security.contexts import check
from rserpool.security.tls import BAD_CERTIFICATE, WRONG_ADDRESS, WRONG_ROLE, TlsError


def der(path):
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def test_keys_are_only_for_their_owner(files):
    ours, _ = files
    assert {p.stat().st_mode & 0o777 for p in ours.glob("*-key.pem")} == {0o600}


def test_nothing_is_overwritten(tmp_path):
    make_authority(tmp_path)
    before = certificate_file(tmp_path, "ca").read_bytes()
    with pytest.raises(FileExistsError):
        make_authority(tmp_path)
    make_certificate(tmp_path, CLIENT, "element")
    key = key_file(tmp_path, "element").read_bytes()
    with pytest.raises(FileExistsError):
        make_certificate(tmp_path, CLIENT, "element")
    assert certificate_file(tmp_path, "ca").read_bytes() == before
    assert key_file(tmp_path, "element").read_bytes() == key


def test_a_certificate_whose_key_is_elsewhere_is_not_overwritten_either(tmp_path):
    make_authority(tmp_path)
    certificate_file(tmp_path, "element").write_text("precious")
    with pytest.raises(FileExistsError):
        make_certificate(tmp_path, CLIENT, "element")
    assert certificate_file(tmp_path, "element").read_text() == "precious"
    assert not key_file(tmp_path, "element").exists(), "a key without certificate would be in the way"


@pytest.mark.parametrize(("role", "name", "addresses"), [
    ("king", "x", ()), (CLIENT, "ca", ()), (CLIENT, "", ()), (CLIENT, "../x", ()), (CLIENT, "a b", ()),
    (CLIENT, ".x", ()), (REGISTRAR, "x", ("somewhere",)),
])  # fmt: skip
def test_bad_wishes(files, role, name, addresses):
    ours, _ = files
    before = sorted(ours.iterdir())
    with pytest.raises(ValueError):
        make_certificate(ours, role, name, addresses)
    assert sorted(ours.iterdir()) == before


def test_no_certificate_without_an_authority(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_certificate(tmp_path, CLIENT, "element")


def test_the_role_stands_in_the_certificate(files):
    ours, _ = files
    check(der(certificate_file(ours, "registrar")), True, ())
    check(der(certificate_file(ours, "registrar")), False, ())
    check(der(certificate_file(ours, "element")), False, ())
    check(der(certificate_file(ours, "elsewhere")), True, ("10.0.0.1", "2001:db8::1"))
    for certificate, registrar, addresses, reason in (
        (der(certificate_file(ours, "element")), True, (), WRONG_ROLE),
        (der(certificate_file(ours, "ca")), False, (), WRONG_ROLE),
        (der(certificate_file(ours, "elsewhere")), True, ("10.0.0.1",), WRONG_ADDRESS),
        (b"nonsense", True, (), BAD_CERTIFICATE),
    ):
        with pytest.raises(TlsError) as caught:
            check(certificate, registrar, addresses)
        assert caught.value.reason == reason
