"""Whom this machine trusts in tests: nobody they meet.

Providers are on loopback, and no authority has signed for them. To read the two hundred that a system trusts takes
longer than most tests, and each client of a provider reads them for itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.certificates import make_certificate


@pytest.fixture(scope="session", autouse=True)
def _trusted_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For OpenSSL and httpx, in this process and those it starts: one that has signed for nobody."""
    certificate = make_certificate(tmp_path_factory.mktemp("trusted"), "An authority of nobody")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(certificate.file))
        yield
