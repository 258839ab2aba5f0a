"""Authorities and certificates, made once: good ones, and all that is to be refused."""

from datetime import UTC, datetime, timedelta

import pytest

from rserpool.security.authority import CLIENT, REGISTRAR, make_authority, make_certificate


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """(directory of our authority, directory of another one)."""
    ours, others = (tmp_path_factory.mktemp(name) for name in ("ours", "others"))
    for directory in (ours, others):
        make_authority(directory)
        make_certificate(directory, REGISTRAR, "registrar")
        make_certificate(directory, CLIENT, "element")
    past = datetime.now(UTC) - timedelta(days=20)
    make_certificate(ours, CLIENT, "expired", days=10, now=past)
    make_certificate(ours, REGISTRAR, "expired-registrar", days=10, now=past)
    make_certificate(ours, CLIENT, "early", now=datetime.now(UTC) + timedelta(days=10))
    make_certificate(ours, REGISTRAR, "elsewhere", addresses=["192.0.2.1", "2001:db8::1"])
    make_certificate(ours, REGISTRAR, "here", addresses=["127.0.0.1"])
    return ours, others
