"""The broker is away, comes back, and its topics appear and grow: weir goes on by itself."""

import time

from lib import processes
from lib.case import PeerTest, shared_broker
from lib.weir import QUICK_SESSION


class BrokerComesAndGoes(PeerTest):
    def test_a_broker_that_is_away_at_start(self):
        broker = self.own_broker()
        bridge = self.bridge("node", broker, "late", "late").start(ready=False)
        broker.start()
        broker.client.create_topic("late", 2)
        self.produce(broker, "late", range(2), 300)
        self.wait_all_seen(broker, "late", 90, [bridge])
        self.wait_committed(broker, "late", "late", bridges=[bridge])
        bridge.wait_for("/readyz")
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
        self.assertEqual(self.seen.repeated(), set())

    def test_weir_ends_politely_while_its_broker_is_away(self):
        broker = self.own_broker()
        bridge = self.bridge("node", broker, "never", "never").start(ready=False)
        self.assertEqual(bridge.terminate(seconds=35), 0, self.explain([bridge]))

    def restart(self, go_away, away_for=0.0, mapping=None):
        broker = self.own_broker().start()
        broker.client.create_topic("orders", 3)
        self.produce(broker, "orders", range(3), 400)
        bridge = self.bridge("node", broker, "orders", "orders", mapping={"batch_size": 10, **(mapping or {})},
                             WEIR_PEER_DELAY_MS=20).start()
        processes.wait_until(lambda: f"records come; {self.explain([bridge])}",
                             lambda: len(self.seen.records()) > 200, 60)
        go_away(broker)
        # What weir had fetched it may still invoke; then it can only wait. It lives on meanwhile.
        back = time.monotonic() + away_for
        processes.wait_until("the time is over", lambda: self.lives(bridge) and time.monotonic() > back, away_for + 10, every=1)
        broker.start()
        self.produce(broker, "orders", range(3), 100)
        self.wait_all_seen(broker, "orders", 120, [bridge])
        self.wait_committed(broker, "orders", "orders", 60, bridges=[bridge])
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))

    def lives(self, bridge):
        self.assertEqual(bridge.get("/healthz")[0], 200, self.explain([bridge]))
        return True

    def test_a_broker_that_restarts(self):
        self.restart(lambda broker: broker.stop())

    def test_a_broker_that_loses_power(self):
        self.restart(lambda broker: broker.kill())

    def test_a_broker_that_is_away_for_longer_than_a_session(self):
        self.restart(lambda broker: broker.kill(), away_for=20, mapping=QUICK_SESSION)


class TopicsAppearAndGrow(PeerTest):
    def test_a_topic_that_is_made_later(self):
        broker = shared_broker()
        bridge = self.bridge("python", broker, "not-yet", "not-yet").start(ready=False)
        processes.wait_until(lambda: f"its log or status names the topic that is missing; {self.explain([bridge])}",
                             lambda: "not-yet" in bridge.get("/status")[1] + bridge.log.read_text(), 30)
        broker.client.create_topic("not-yet", 2)
        self.produce(broker, "not-yet", range(2), 100)
        self.wait_all_seen(broker, "not-yet", 90, [bridge])
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))

    def test_new_partitions_are_read_from_their_beginning(self):
        broker = shared_broker()
        broker.client.create_topic("grows", 1)
        self.produce(broker, "grows", [0], 100)
        bridge = self.bridge("node", broker, "grows", "grows").start()
        self.wait_all_seen(broker, "grows", 60, [bridge])
        broker.client.grow_topic("grows", 4)
        self.produce(broker, "grows", range(4), 100)
        self.wait_all_seen(broker, "grows", 120, [bridge])
        self.wait_committed(broker, "grows", "grows", bridges=[bridge])
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
        self.assertEqual(self.seen.repeated(), set(), "partition 0 goes on where it was")

    def test_a_source_without_its_topic_does_not_stop_another(self):
        broker = shared_broker()
        broker.client.create_topic("good", 1)
        self.produce(broker, "good", [0], 100)
        bridge = self.bridge("node", broker, "good", "good")
        self.add_source(bridge, "astray", broker, "bad-never-made")
        bridge.start(ready=False)
        self.wait_all_seen(broker, "good", 60, [bridge])
        self.wait_committed(broker, "good", "good", bridges=[bridge])
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
