"""A certificate authority of a test's own, and what it issues, as PEM files."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: str
    key: str


class Authority:
    """Issues certificates into `folder`; `file` is its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(True, 0), critical=True
        )
        self._usage = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        signed = own.add_extension(self._usage, critical=False).sign(self._key, hashes.SHA256())
        self.file = self._written(f"{name}.pem", signed.public_bytes(serialization.Encoding.PEM))

    def server(self) -> Pair:
        """For 127.0.0.1 and localhost."""
        names = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        )
        return self._issue("server", (), names, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, name: str, organizations: Sequence[str] = ()) -> Pair:
        """For a client of this common name in these organizations."""
        names = x509.SubjectAlternativeName([x509.DNSName("client")])
        return self._issue(name, organizations, names, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(
        self,
        name: str,
        organizations: Sequence[str],
        names: x509.SubjectAlternativeName,
        use: x509.ObjectIdentifier,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations]
        subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = (
            self._builder(subject, key)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._usage), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate = self._written(f"{name}.crt", signed.public_bytes(serialization.Encoding.PEM))
        return Pair(certificate, self._written(f"{name}.key", private))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
        )

    def _written(self, name: str, content: bytes) -> str:
        path = self._folder / name
        path.write_bytes(content)
        return str(path)
