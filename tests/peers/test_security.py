"""Passwords and certificates: with the right ones a topic is drained; with wrong ones the source says why, once, and keeps
passwords to itself."""

import json
import pathlib

from lib import parts, processes, weir
from lib.case import PeerTest, shared_broker
from lib.secure_broker import PLAIN_PASSWORD, SCRAM_PASSWORD, USER, Authority, SecureBroker

WRONG_PASSWORD = "wrong-secret-1234"


def password(mechanism, secret):
    return {"sasl_mechanism": mechanism, "sasl_username": USER, "sasl_password": secret}


class SecurityTest(PeerTest):
    def setUp(self):
        super().setUp()
        self.broker = shared_broker(SecureBroker)
        self.tls = {"tls": True, "ca_certificate": str(self.broker.authority.certificate)}

    def secured(self, listener, settings):
        """A bridge, not started yet, that reads a topic of this test's at a listener of the broker."""
        self.topic = self._testMethodName[5:].replace("_", "-")
        self.broker.client.create_topic(self.topic, 2)
        self.produce(self.broker, self.topic, range(2), 100)
        return self.bridge("node", self.broker, self.topic, self.topic,
                           mapping={"bootstrap_servers": self.broker.address_of(listener), **settings})

    def client_of(self, authority):
        """The settings that show a certificate of `authority`."""
        certificate, key = authority.sign("client", "127.0.0.1")
        return {"client_certificate": str(certificate), "client_key": str(key)}

    def other_authority(self):
        return Authority(self.folder / "tls", "other-authority")

    def assert_secret(self, bridge, *texts):
        texts += bridge.log.read_text(), bridge.get("/status")[1], bridge.get("/metrics")[1]
        for secret in (PLAIN_PASSWORD, SCRAM_PASSWORD, WRONG_PASSWORD):
            self.assertFalse([text for text in texts if secret in text], f"{secret} is told")


class Accepted(SecurityTest):
    def drain(self, listener, settings):
        bridge = self.secured(listener, settings).start()
        self.wait_all_seen(self.broker, self.topic, 60, [bridge])
        self.wait_committed(self.broker, self.topic, self.topic, bridges=[bridge])
        listed = weir.command("checkpoint", "list", "--json", "--config", bridge.config)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assert_secret(bridge, listed.stdout)
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
        self.assertEqual(self.seen.repeated(), set())

    def test_plain(self):
        self.drain("SASL", password("PLAIN", PLAIN_PASSWORD))

    def test_scram_256(self):
        self.drain("SASL", password("SCRAM-SHA-256", SCRAM_PASSWORD))

    def test_scram_512(self):
        self.drain("SASL", password("SCRAM-SHA-512", SCRAM_PASSWORD))

    def test_scram_512_over_tls(self):
        self.drain("BOTH", {**password("SCRAM-SHA-512", SCRAM_PASSWORD), **self.tls})

    def test_tls(self):
        self.drain("TLS", self.tls)

    def test_tls_with_a_client_certificate(self):
        self.drain("MUTUAL", {**self.tls, **self.client_of(self.broker.authority)})


class Refused(SecurityTest):
    def add_healthy_source(self, bridge):
        """Gives a bridge that is not started yet a file to read, into a function of its own."""
        lines = self.folder / "lines.jsonl"
        lines.write_text("".join(f'{{"n": {n}}}\n' for n in range(50)))
        counter = pathlib.Path(parts.weir()).parent / "functions" / "weir-function-counter"
        config = json.loads(bridge.config.read_text())
        config["functions"]["counter"] = {"command": [str(counter)], "environment": {"WEIR_PEER_MARK": self.mark}}
        config["sources"]["healthy"] = {"type": "file", "path": str(lines), "function": "counter"}
        bridge.config.write_text(json.dumps(config, indent=2))

    def status(self, bridge):
        """({source: its status}, what the command printed)."""
        asked = weir.command("status", "--json", "--admin", f"127.0.0.1:{bridge.port}")
        self.assertEqual(asked.returncode, 0, asked.stderr)
        return {source["source"]: source for source in json.loads(asked.stdout)["sources"]}, asked.stdout + asked.stderr

    def refuse(self, listener, settings, reason):
        """`reason`: a text in what is said of it."""
        bridge = self.secured(listener, settings)
        self.add_healthy_source(bridge)
        bridge.start(ready=False)

        def tried_again():
            sources, _ = self.status(bridge)
            return sources["orders"]["restarts"] >= 2 and sources["orders"]["error"] and \
                sources["healthy"]["state"] == "finished"
        processes.wait_until(lambda: f"one source is refused again and again, the other finishes; {self.explain([bridge])}",
                             tried_again, 30, every=0.1)
        sources, printed = self.status(bridge)
        self.assertEqual((sources["healthy"]["settled_events"], sources["healthy"]["restarts"]), (50, 0))
        self.assertRegex(sources["orders"]["error"], "^source.refused: ")
        self.assertIn(reason, sources["orders"]["error"])
        self.assert_secret(bridge, printed)
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
        told = [line for line in map(json.loads, bridge.log.read_text().splitlines()) if line.get("source") == "orders"]
        self.assertEqual([(line["event"], line.get("code")) for line in told], [("source.failed", "source.refused")],
                         "one line, however often it is tried")
        self.assertIn(reason, told[0]["message"])
        self.assertEqual(self.seen.records(), [])

    def test_a_wrong_password(self):
        self.refuse("SASL", password("PLAIN", WRONG_PASSWORD), "Invalid username or password")

    def test_a_wrong_scram_password(self):
        self.refuse("SASL", password("SCRAM-SHA-512", WRONG_PASSWORD), "invalid credentials")

    def test_a_mechanism_that_the_broker_does_not_have(self):
        self.refuse("BOTH", {**password("PLAIN", PLAIN_PASSWORD), **self.tls}, "supported mechanisms: SCRAM-SHA-512")

    def test_a_broker_of_another_authority(self):
        self.refuse("TLS", {"tls": True, "ca_certificate": str(self.other_authority().certificate)},
                    "certificate could not be verified")

    def test_a_broker_that_the_systems_authorities_do_not_know(self):
        self.refuse("TLS", {"tls": True}, "certificate could not be verified")

    def test_a_broker_with_the_certificate_of_another_address(self):
        self.refuse("ELSEWHERE", self.tls, "certificate could not be verified")

    def test_no_client_certificate(self):
        self.refuse("MUTUAL", self.tls, "SSL alert")

    def test_a_client_certificate_of_another_authority(self):
        self.refuse("MUTUAL", {**self.tls, **self.client_of(self.other_authority())}, "SSL alert")


class Mistaken(SecurityTest):
    def test_a_wrong_password_for_the_checkpoints(self):
        """Of a bridge that is stopped: the command asks the broker itself."""
        bridge = self.secured("SASL", password("PLAIN", WRONG_PASSWORD))
        listed = weir.command("checkpoint", "list", "--config", bridge.config)
        self.assertEqual((listed.returncode, listed.stdout), (1, ""))
        self.assertRegex(listed.stderr, "source.refused: .*Invalid username or password")
        self.assertNotIn(WRONG_PASSWORD, listed.stderr)

    def test_a_listener_that_expects_tls(self):
        """The broker only hangs up, as one does that ends: the log tells what may be wrong."""
        bridge = self.secured("TLS", {}).start(ready=False)
        processes.wait_until(lambda: f"the log gives a hint; {self.explain([bridge])}",
                             lambda: "incorrect security.protocol configuration" in bridge.log.read_text(), 20)
        self.assertEqual(bridge.log.read_text().count("source.unreachable"), 1)
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
