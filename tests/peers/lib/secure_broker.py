"""A real Apache Kafka broker that asks for passwords and certificates, and the authority that signs those."""

import pathlib
import subprocess

from lib import parts
from lib.broker import Broker

USER = "weir"
PLAIN_PASSWORD = "plain-secret-4711"
SCRAM_PASSWORD = "scram-secret-0815"

SETTINGS = """
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{plain}";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.both.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.both.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.mutual.ssl.client.auth=required
listener.name.elsewhere.ssl.keystore.type=PEM
listener.name.elsewhere.ssl.keystore.location={elsewhere}
"""


class Authority:
    """A certificate authority in `folder`, which is made. `certificate`: its own, a PEM file."""

    def __init__(self, folder, name):
        self.folder, self.name = pathlib.Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key, self.certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        self._openssl("req", "-x509", *self._new_key(self._key), "-days", "2", "-subj", f"/CN={name}", "-out", self.certificate)

    @staticmethod
    def _new_key(path):
        # Elliptic curves: a key in milliseconds. -noenc would be newer than some openssl.
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path

    @staticmethod
    def _openssl(*arguments):
        subprocess.run([parts.command("openssl"), *map(str, arguments)], check=True, capture_output=True, timeout=30)

    def sign(self, name, address):
        """(certificate, key), PEM files, of somebody who may be a server at `address`, an IP, or a client."""
        certificate, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.extensions"
        extensions.write_text(f"subjectAltName=IP:{address}\n")
        self._openssl("req", "-new", *self._new_key(key), "-subj", f"/CN={name}", "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                      "-days", "2", "-extfile", extensions, "-out", certificate)
        return certificate, key


class SecureBroker(Broker):
    """Beside the helpers' plaintext listener it has SASL (a password), TLS, BOTH (a password over TLS), MUTUAL (TLS, and
    the client shows a certificate of `authority`) and ELSEWHERE (TLS with the certificate of another address)."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.authority = Authority(folder / "tls", "authority")
        scram = [f"SCRAM-SHA-{bits}=[name={USER},password={SCRAM_PASSWORD}]" for bits in (256, 512)]
        super().__init__(
            folder, listeners={"SASL": "SASL_PLAINTEXT", "TLS": "SSL", "BOTH": "SASL_SSL", "MUTUAL": "SSL", "ELSEWHERE": "SSL"},
            settings=SETTINGS.format(user=USER, plain=PLAIN_PASSWORD, authority=self.authority.certificate,
                                     keystore=self._keystore("broker", "127.0.0.1"),
                                     elsewhere=self._keystore("elsewhere", "127.0.0.9")),
            format_options=[word for each in scram for word in ("--add-scram", each)])

    def _keystore(self, name, address):
        certificate, key = self.authority.sign(name, address)
        keystore = self.authority.folder / f"{name}-keystore.pem"
        keystore.write_text(key.read_text() + certificate.read_text())
        return keystore
