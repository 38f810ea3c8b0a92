"""kill -9 in the middle: nothing is lost, order is kept, no function is left behind."""

from lib import processes
from lib.case import PeerTest, shared_broker
from lib.weir import QUICK_SESSION


class Crash(PeerTest):
    def crash(self, runtime):
        broker, topic = shared_broker(), f"crash-{runtime}"
        broker.client.create_topic(topic, 3)
        self.produce(broker, topic, range(3), 1000)
        for life in range(2):
            bridge = self.bridge(runtime, broker, topic, topic, name=f"life-{life}",
                                 mapping={"batch_size": 20, **QUICK_SESSION}, WEIR_PEER_DELAY_MS=20).start()
            # Each life starts where the offsets stand; the group lets a new member in when the dead one's session is over.
            before = len(self.seen.records())
            processes.wait_until(lambda: f"life {life} gets records; {self.explain([bridge])}",
                                 lambda: len(self.seen.records()) > before + 400, 60)
            functions = processes.with_environment(self.mark)
            self.assertTrue(functions, "the function runs while weir does")
            bridge.kill()
            processes.wait_until(lambda: f"functions {functions} end with weir; {processes.with_environment(self.mark)}",
                                 lambda: not processes.with_environment(self.mark), 5)
            seen = self.seen.offsets()
            for partition, offset in broker.client.committed(topic, topic).items():
                self.assertLessEqual(set(range(offset)), set(seen.get(partition, ())),
                                     f"partition {partition}: offset {offset} is committed, yet a record before it was not seen")
        last = self.bridge(runtime, broker, topic, topic, name="last", mapping={"batch_size": 20, **QUICK_SESSION}).start()
        self.wait_all_seen(broker, topic, 120, [last])
        self.wait_committed(broker, topic, topic, bridges=[last])
        self.assertEqual(last.terminate(), 0, self.explain([last]))
        # A life repeats at most what was in flight or not committed yet, not the topic.
        self.assertLess(len(self.seen.records()), 2 * 3000, "a restart goes on from the committed offsets")

    def test_node_loses_nothing_when_weir_is_killed(self):
        self.crash("node")

    def test_python_loses_nothing_when_weir_is_killed(self):
        self.crash("python")

    def test_a_second_sigterm_ends_at_once_and_loses_nothing(self):
        broker, topic = shared_broker(), "twice"
        broker.client.create_topic(topic, 1)
        self.produce(broker, topic, [0], 200)
        bridge = self.bridge("node", broker, topic, topic, mapping={"batch_size": 50, **QUICK_SESSION}, timeout=60,
                             WEIR_PEER_DELAY_MS=20_000).start()
        processes.wait_until(lambda: f"an invocation runs; {self.explain([bridge])}", self.seen.read, 60)
        bridge.process.terminate()
        processes.wait_until(lambda: f"weir is no longer ready; {bridge.get('/readyz')}",
                             lambda: bridge.get("/readyz")[0] != 200, 5)
        self.assertTrue(bridge.running(), "the first SIGTERM waits for what is in flight")
        bridge.terminate(seconds=5)
        processes.wait_until("its function ends too", lambda: not processes.with_environment(self.mark), 5)
        self.assertEqual({p: o for p, o in broker.client.committed(topic, topic).items() if o > 0}, {},
                         "the cut invocation's records are not committed")
        after = self.bridge("node", broker, topic, topic, name="after", mapping=QUICK_SESSION).start()
        self.wait_all_seen(broker, topic, 90, [after])
        self.assertEqual(after.terminate(), 0)

    def test_sigterm_lets_an_invocation_finish_and_commits_it(self):
        broker, topic = shared_broker(), "finish"
        broker.client.create_topic(topic, 1)
        self.produce(broker, topic, [0], 200)
        bridge = self.bridge("python", broker, topic, topic, mapping={"batch_size": 50, **QUICK_SESSION}, WEIR_PEER_DELAY_MS=2000).start()
        processes.wait_until(lambda: f"an invocation runs; {self.explain([bridge])}", self.seen.read, 60)
        self.assertEqual(bridge.terminate(), 0, self.explain([bridge]))
        seen = len(self.seen.records())
        self.assertEqual(broker.client.committed(topic, topic), {0: seen}, "what was seen is committed, all of it")
        self.assertLess(seen, 200, "no new work was taken")
