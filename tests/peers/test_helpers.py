"""The peers' own ground: what the helpers say of a broker is what Kafka's own tools say."""

from lib import parts, processes
from lib.case import PeerTest, shared_broker
from lib.kafka_wire import KafkaError, Message


class Helpers(PeerTest):
    def test_kafkas_own_consumer_reads_what_we_produced(self):
        broker = shared_broker()
        broker.client.create_topic("helpers-read", 2, max_message_bytes=2_000_000)
        self.assertEqual(broker.client.produce("helpers-read", 1, [
            Message(b"first", key=b"k1", headers=[("trace", b"abc"), ("trace", b"")], timestamp_ms=1_700_000_000_123),
            Message(None, key=b"gone", timestamp_ms=1_700_000_000_124),
            Message("Zoë".encode() * 200, timestamp_ms=1_600_000_000_000),
        ]), 0)
        self.assertEqual(broker.client.produce("helpers-read", 1, [b"later"]), 3)
        printed = broker.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", broker.address, "--topic", "helpers-read",
            "--partition", "1", "--offset", "earliest", "--max-messages", "4", "--timeout-ms", "20000",
            "--property", "print.key=true", "--property", "print.headers=true", "--property", "print.timestamp=true")
        lines = printed.splitlines()
        self.assertEqual(lines[0], "CreateTime:1700000000123\ttrace:abc,trace:\tk1\tfirst")
        self.assertEqual(lines[1], "CreateTime:1700000000124\tNO_HEADERS\tgone\tnull")
        self.assertEqual(lines[2], f"CreateTime:1600000000000\tNO_HEADERS\tnull\t{'Zoë' * 200}")
        self.assertTrue(lines[3].endswith("\tNO_HEADERS\tnull\tlater"))
        self.assertEqual(broker.client.end_offsets("helpers-read"), {0: 0, 1: 4})

    def test_committed_offsets_and_members_are_those_of_kafkas_own_group(self):
        broker = shared_broker()
        broker.client.create_topic("helpers-group", 3)
        self.produce(broker, "helpers-group", [0, 2], 7)
        self.assertEqual(broker.client.group("helpers-nobody"), ("Dead", 0))
        broker.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", broker.address,
                    "--topic", "helpers-group", "--group", "helpers", "--from-beginning", "--max-messages", "14",
                    "--timeout-ms", "20000")
        committed = broker.client.committed("helpers", "helpers-group")
        self.assertEqual({p: o for p, o in committed.items() if o > 0}, {0: 7, 2: 7})
        self.assertEqual(broker.client.group("helpers"), ("Empty", 0))

    def test_topics_grow_and_unknown_ones_are_refused(self):
        client = shared_broker().client
        client.create_topic("helpers-grow", 1)
        client.grow_topic("helpers-grow", 3)
        self.assertEqual(client.end_offsets("helpers-grow"), {0: 0, 1: 0, 2: 0})
        client.patience, before = 0.5, client.patience
        try:
            with self.assertRaisesRegex(KafkaError, "UNKNOWN_TOPIC_OR_PARTITION"):
                client.partitions("helpers-nowhere")
        finally:
            client.patience = before

    def test_a_broker_comes_back_with_its_data_and_address(self):
        broker = self.own_broker().start()
        broker.client.create_topic("kept", 1)
        broker.client.produce("kept", 0, [b"one", b"two"])
        broker.stop()
        self.assertFalse(broker.client.ping())
        broker.start()
        self.assertEqual(broker.client.end_offsets("kept"), {0: 2})
        broker.kill()
        broker.start()
        self.assertEqual(broker.client.end_offsets("kept"), {0: 2})

    def test_processes_are_found_by_their_environment(self):
        process = processes.start([parts.command("sleep"), "60"], self.folder / "log", env={"WEIR_PEER_MARK": self.mark})
        try:
            processes.wait_until("it is found", lambda: set(processes.with_environment(self.mark)) == {process.pid}, 5)
        finally:
            processes.stop(process, 5)
        self.assertEqual(processes.with_environment(self.mark), {})
