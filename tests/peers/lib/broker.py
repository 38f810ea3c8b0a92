"""A real Apache Kafka broker: one KRaft node on 127.0.0.1, random ports, a folder of its own."""

import pathlib
import shutil
import subprocess

from lib import parts, processes
from lib.kafka_wire import KafkaClient

SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={advertised},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={advertised}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocols}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
# One member is enough to begin with: no test has to wait for more.
group.initial.rebalance.delay.ms=0
controlled.shutdown.enable=false
# A broker that comes back is let in again when its former life is held for dead: after 2 s, in place of 9.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
num.network.threads=1
num.io.threads=2
num.recovery.threads.per.data.dir=1
"""

LOGGING = """
log4j.rootLogger=WARN, out
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.logger.org.apache.kafka.clients=ERROR
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{{ISO8601}} %p %c{{1}}: %m%n
"""


class Broker:
    """`folder`: made if need be, and the broker's alone. The ports are chosen once: after stop(), start() comes back with
    the same address and data. `listeners`: {name: security protocol} beside the plaintext one, which is the helpers' own.
    `settings`: more lines of server.properties. `format_options`: more arguments of Kafka's storage tool."""

    def __init__(self, folder, listeners=None, settings="", format_options=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        protocols = {"PLAINTEXT": "PLAINTEXT", **(listeners or {})}
        self._controller, *ports = processes.free_ports(1 + len(protocols))
        self._ports = dict(zip(protocols, ports))
        self._format_options = format_options
        self.port = self._ports["PLAINTEXT"]
        self.log = self.folder / "broker.log"
        self.client = KafkaClient(self.port)
        self._process = None
        (self.folder / "server.properties").write_text(
            SETTINGS.format(controller=self._controller, data=self.folder / "data",
                            advertised=",".join(f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()),
                            protocols=",".join(f"{name}:{protocol}" for name, protocol in protocols.items())) + settings)
        (self.folder / "log4j.properties").write_text(LOGGING.format())

    @property
    def address(self):
        return self.address_of("PLAINTEXT")

    def address_of(self, listener):
        return f"127.0.0.1:{self._ports[listener]}"

    def _java(self, main, *arguments):
        return [parts.command("java"), "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Djava.awt.headless=true", f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}",
                "-cp", f"{parts.kafka_jars()}/*", main, *map(str, arguments)]

    def start(self):
        """Returns when the broker answers; its topics and offsets are those it had when it was stopped."""
        if not (self.folder / "data" / "meta.properties").exists():
            self.tool("kafka.tools.StorageTool", "format", "--cluster-id", "d2Vpci1wZWVycy10ZXN0cw",
                      "--config", self.folder / "server.properties", *self._format_options, patience=60)
        self._process = processes.start(
            self._java("kafka.Kafka", self.folder / "server.properties"), self.log, cwd=self.folder)

        def up():
            if self._process.poll() is not None:
                raise AssertionError(f"the broker ended with {self._process.returncode}:\n{processes.tail(self.log)}")
            return self.client.ping()
        processes.wait_until(lambda: f"the broker answers:\n{processes.tail(self.log)}", up, 60)
        return self

    def stop(self, patience=20):
        self.client.close()
        if self._process:
            processes.stop(self._process, patience)
        self._process = None

    def kill(self):
        """As a power cut: no farewell to anybody."""
        self.client.close()
        self._process.kill()
        self._process.wait(10)
        self._process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def tool(self, main, *arguments, patience=30):
        """Runs one of Kafka's own command line tools, by its class, and returns what it printed."""
        done = subprocess.run(self._java(main, *arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience)
        if done.returncode != 0:
            raise AssertionError(f"{main} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout
