"""Several bridges in one consumer group: partitions move, records neither vanish nor come twice without need."""

import time

from lib import processes
from lib.case import PeerTest, shared_broker
from lib.weir import QUICK_SESSION

PARTITIONS = 6


class Group(PeerTest):
    def setUp(self):
        super().setUp()
        self.broker, self.topic = shared_broker(), f"group-{self._testMethodName[5:25]}"
        self.broker.client.create_topic(self.topic, PARTITIONS)
        self._next_burst = 0.0

    def member(self, name):
        return self.bridge("node", self.broker, self.topic, self.topic, name=name, mapping={"batch_size": 10, **QUICK_SESSION},
                           WEIR_PEER_DELAY_MS=5)

    def keep_producing(self):
        """A little to every partition, ten times a second at most, for as long as somebody polls."""
        if time.monotonic() >= self._next_burst:
            self._next_burst = time.monotonic() + 0.1
            self.produce(self.broker, self.topic, range(PARTITIONS), 3)

    def wait_while_producing(self, what, condition, seconds, bridges):
        def step():
            self.keep_producing()
            for bridge in bridges:
                if not bridge.running():
                    raise AssertionError(f"a bridge ended with {bridge.process.returncode}; {self.explain(bridges)}")
            return condition()
        processes.wait_until(lambda: f"{what}; group is {self.broker.client.group(self.topic)}; {self.explain(bridges)}",
                             step, seconds)

    def wait_for_share(self, name, bridges):
        """Until the instance `name` gets records, from now."""
        before = self.seen.names().get(name, 0)
        self.wait_while_producing(f"{name} gets a share", lambda: self.seen.names().get(name, 0) > before + 20, 60, bridges)

    def test_members_come_and_go_politely_without_a_repeated_record(self):
        one, two, three = self.member("one"), self.member("two"), self.member("three")
        one.start()
        self.wait_for_share("one", [one])
        two.start()
        self.wait_for_share("two", [one, two])
        self.wait_for_share("one", [one, two])
        three.start()
        self.wait_for_share("three", [one, two, three])
        self.assertEqual(self.broker.client.group(self.topic)[1], 3)
        self.assertEqual(two.terminate(), 0, self.explain([two]))
        for _ in range(2):
            self.wait_for_share("one", [one, three])
            self.wait_for_share("three", [one, three])
        self.assertEqual(three.terminate(), 0, self.explain([three]))
        self.wait_for_share("one", [one])
        self.wait_all_seen(self.broker, self.topic, 60, [one])
        self.wait_committed(self.broker, self.topic, self.topic, bridges=[one])
        self.assertEqual(one.terminate(), 0, self.explain([one]))
        self.assertEqual(self.seen.repeated(), set(), "revoked partitions are drained and committed before they move")

    def test_a_killed_member_is_replaced_and_nothing_is_lost(self):
        one, two, three = self.member("one"), self.member("two"), self.member("three")
        for member in (one, two, three):
            member.start()
        for name in ("one", "two", "three"):
            self.wait_for_share(name, [one, two, three])
        two.kill()
        # The broker gives two's partitions away when its session is over.

        def others_have_all():
            ends = self.broker.client.end_offsets(self.topic)
            committed = self.broker.client.committed(self.topic, self.topic)
            return all(ends[p] - committed.get(p, 0) < 60 for p in range(PARTITIONS))
        self.wait_while_producing("the others take over two's partitions",
                                  lambda: self.broker.client.group(self.topic)[1] == 2 and others_have_all(), 60,
                                  [one, three])
        repeated = self.seen.repeated()
        self.assertLessEqual(len(repeated), PARTITIONS * 20, "only what two had in flight or not yet committed is repeated")
        self.wait_all_seen(self.broker, self.topic, 60, [one, three])
        self.wait_committed(self.broker, self.topic, self.topic, bridges=[one, three])
        self.assertEqual(self.seen.repeated(), repeated)
        for member in (one, three):
            self.assertEqual(member.terminate(), 0, self.explain([member]))
