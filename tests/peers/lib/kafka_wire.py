"""A small Kafka client: enough to set a scene for weir and to look at the result, without starting a JVM each time.

Speaks fixed old versions of the protocol that every broker from 2.0 to 4.x answers, to one broker over plain TCP. It is no
consumer: what weir consumed is judged by what the function saw and by the offsets that the broker holds.
Protocol: https://kafka.apache.org/protocol and, for the record batch, https://kafka.apache.org/documentation/#recordbatch
"""

import dataclasses
import socket
import struct
import time

PRODUCE, LIST_OFFSETS, METADATA, OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS, CREATE_TOPICS, CREATE_PARTITIONS = (
    0, 2, 3, 9, 10, 15, 19, 37)

ERRORS = {3: "UNKNOWN_TOPIC_OR_PARTITION", 5: "LEADER_NOT_AVAILABLE", 6: "NOT_LEADER_OR_FOLLOWER",
          14: "COORDINATOR_LOAD_IN_PROGRESS", 15: "COORDINATOR_NOT_AVAILABLE", 16: "NOT_COORDINATOR",
          36: "TOPIC_ALREADY_EXISTS"}
# A broker that has just started, or a topic that has just been made, answers these for a moment.
PASSING = {3, 5, 6, 14, 15, 16}


class KafkaError(Exception):
    """The broker said no; `code` is Kafka's error code."""

    def __init__(self, code, during):
        super().__init__(f"{ERRORS.get(code, f'error {code}')} while {during}")
        self.code = code


@dataclasses.dataclass
class Message:
    """What is produced: `value` and `key` are bytes or None, `headers` a list of (text, bytes)."""
    value: bytes | None
    key: bytes | None = None
    headers: list = dataclasses.field(default_factory=list)
    timestamp_ms: int | None = None


def _make_crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _make_crc32c_table()


def crc32c(data):
    """Castagnoli's CRC, which Kafka guards a record batch with and Python's library lacks."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _varint(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number & ~0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varbytes(data):
    return _varint(-1) if data is None else _varint(len(data)) + data


def record_batch(messages, now_ms):
    """The bytes of one record batch (magic 2, uncompressed) that holds `messages`, at least one."""
    stamps = [now_ms if m.timestamp_ms is None else m.timestamp_ms for m in messages]
    records = bytearray()
    for index, (message, stamp) in enumerate(zip(messages, stamps)):
        body = b"\0" + _varint(stamp - stamps[0]) + _varint(index) + _varbytes(message.key) + _varbytes(message.value)
        body += _varint(len(message.headers))
        for name, value in message.headers:
            body += _varbytes(name.encode()) + _varbytes(value)
        records += _varint(len(body)) + body
    guarded = struct.pack(">hiqqqhii", 0, len(messages) - 1, stamps[0], max(stamps), -1, -1, -1, len(messages)) + records
    return struct.pack(">qiibI", 0, len(guarded) + 9, -1, 2, crc32c(guarded)) + guarded


def _text(text):
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def text(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def bytes(self):
        length = self.take("i")
        self.at += max(length, 0)
        return self.data[self.at - max(length, 0):self.at]

    def array(self, read):
        return [read() for _ in range(self.take("i"))]


class KafkaClient:
    """One connection to one broker; made anew after a failure. `port`: on 127.0.0.1. `patience`: seconds a call may take,
    passing errors and refused connections tried again within it."""

    def __init__(self, port, patience=20.0):
        self.port, self.patience = port, patience
        self._socket, self._correlation = None, 0

    def close(self):
        if self._socket:
            self._socket.close()
        self._socket = None

    def _call(self, api, version, body, deadline):
        while True:
            try:
                if self._socket is None:
                    self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=5)
                self._socket.settimeout(max(0.1, deadline - time.monotonic()))
                self._correlation += 1
                head = struct.pack(">hhi", api, version, self._correlation) + _text("weir-peers")
                self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
                (length,) = struct.unpack(">i", self._receive(4))
                reader = _Reader(self._receive(length))
                if reader.take("i") != self._correlation:
                    raise ConnectionError("an answer to another request")
                return reader
            except OSError:
                self.close()
                if api == PRODUCE or time.monotonic() > deadline:
                    raise  # a repeated produce could write twice
                time.sleep(0.1)  # between two tries of a connection, within the deadline

    def _receive(self, count):
        data = bytearray()
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise ConnectionError("the broker closed the connection")
            data += part
        return bytes(data)

    def _insist(self, during, attempt):
        """Calls attempt(deadline) -> (error code, result) until the code is 0, passing errors again within `patience`."""
        deadline = time.monotonic() + self.patience
        while True:
            code, result = attempt(deadline)
            if code == 0:
                return result
            if code not in PASSING or time.monotonic() > deadline:
                raise KafkaError(code, during)
            time.sleep(0.1)

    def partitions(self, topic):
        """The number of partitions of `topic`, each of which has a leader; KafkaError 3 when there is no such topic."""
        def attempt(deadline):
            reader = self._call(METADATA, 1, _array([_text(topic)]), deadline)
            reader.array(lambda: (reader.take("i"), reader.text(), reader.take("i"), reader.text()))
            reader.take("i")

            def partition():
                error, index, leader = reader.take("hii")
                reader.array(lambda: reader.take("i"))
                reader.array(lambda: reader.take("i"))
                return 5 if leader < 0 else error

            def one():
                error, _, _ = reader.take("h"), reader.text(), reader.take("b")
                found = reader.array(partition)
                return (error or max(found, default=0), len(found))

            return reader.array(one)[0]
        return self._insist(f"asking for topic {topic}", attempt)

    def ping(self):
        """True when a broker answers and its controller is elected; False otherwise. Waits for nothing."""
        try:
            reader = self._call(METADATA, 1, _array([]), time.monotonic())
        except OSError:
            return False
        brokers = reader.array(lambda: (reader.take("i"), reader.text(), reader.take("i"), reader.text()))
        return len(brokers) == 1

    def create_topic(self, topic, partitions, **settings):
        """Makes `topic` and waits until each partition has a leader. `settings`: the topic's, with _ for a dot."""
        config = [_text(name.replace("_", ".")) + _text(str(value)) for name, value in settings.items()]
        body = (_array([_text(topic) + struct.pack(">ih", partitions, 1) + _array([]) + _array(config)])
                + struct.pack(">ib", 10000, 0))

        def attempt(deadline):
            reader = self._call(CREATE_TOPICS, 2, body, deadline)
            reader.take("i")
            return reader.array(lambda: (reader.text(), reader.take("h"), reader.text()))[0][1], None
        self._insist(f"creating topic {topic}", attempt)
        self._insist(f"waiting for topic {topic}", lambda _: (0 if self.partitions(topic) == partitions else 5, None))

    def grow_topic(self, topic, partitions):
        """Gives `topic` so many partitions in all, more than it has."""
        body = _array([_text(topic) + struct.pack(">ii", partitions, -1)]) + struct.pack(">ib", 10000, 0)

        def attempt(deadline):
            reader = self._call(CREATE_PARTITIONS, 0, body, deadline)
            reader.take("i")
            return reader.array(lambda: (reader.text(), reader.take("h"), reader.text()))[0][1], None
        self._insist(f"adding partitions to {topic}", attempt)
        self._insist(f"waiting for topic {topic}", lambda _: (0 if self.partitions(topic) == partitions else 5, None))

    def produce(self, topic, partition, messages):
        """Writes `messages` (Message, or the value's bytes) in order, as one batch, acknowledged. Returns the first's offset."""
        messages = [m if isinstance(m, Message) else Message(m) for m in messages]
        batch = record_batch(messages, int(time.time() * 1000))
        body = (_text(None) + struct.pack(">hi", -1, 10000)
                + _array([_text(topic) + _array([struct.pack(">ii", partition, len(batch)) + batch])]))

        def attempt(deadline):
            reader = self._call(PRODUCE, 3, body, deadline)

            def answer():
                _, error, offset, _ = reader.take("ihqq")
                return error, offset
            return reader.array(lambda: (reader.text(), reader.array(answer)))[0][1][0]
        return self._insist(f"producing to {topic}/{partition}", attempt)

    def end_offsets(self, topic):
        """{partition: offset of the next record to be written}."""
        count = self.partitions(topic)
        body = struct.pack(">i", -1) + _array([_text(topic) + _array([struct.pack(">iq", p, -1) for p in range(count)])])

        def attempt(deadline):
            reader = self._call(LIST_OFFSETS, 1, body, deadline)

            def answer():
                partition, error, _, offset = reader.take("ihqq")
                return partition, error, offset
            answers = reader.array(lambda: (reader.text(), reader.array(answer)))[0][1]
            return max(error for _, error, _ in answers), {partition: offset for partition, _, offset in answers}
        return self._insist(f"asking for the ends of {topic}", attempt)

    def _find_coordinator(self, group, deadline):
        # It is this broker, the only one; but a broker makes its topic of offsets when it is first asked this.
        return self._call(FIND_COORDINATOR, 0, _text(group), deadline).take("h")

    def committed(self, group, topic):
        """{partition: committed offset of `group`}, without the partitions that have none."""
        count = self.partitions(topic)
        body = _text(group) + _array([_text(topic) + _array([struct.pack(">i", p) for p in range(count)])])

        def attempt(deadline):
            if code := self._find_coordinator(group, deadline):
                return code, None
            reader = self._call(OFFSET_FETCH, 1, body, deadline)

            def answer():
                partition, offset, _, error = reader.take("i"), reader.take("q"), reader.text(), reader.take("h")
                return partition, offset, error
            answers = reader.array(lambda: (reader.text(), reader.array(answer)))[0][1]
            return (max(error for _, _, error in answers),
                    {partition: offset for partition, offset, _ in answers if offset >= 0})
        return self._insist(f"asking for the offsets of group {group}", attempt)

    def group(self, group):
        """(state, number of members) of a consumer group; ("Dead", 0) when there is none."""
        def attempt(deadline):
            if code := self._find_coordinator(group, deadline):
                return code, None
            reader = self._call(DESCRIBE_GROUPS, 0, _array([_text(group)]), deadline)

            def member():
                reader.text(), reader.text(), reader.text(), reader.bytes(), reader.bytes()

            def answer():
                error, _, state, _, _ = reader.take("h"), reader.text(), reader.text(), reader.text(), reader.text()
                return error, (state, len(reader.array(member)))
            return reader.array(answer)[0]
        return self._insist(f"asking for group {group}", attempt)
