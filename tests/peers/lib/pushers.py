"""Many clients that push at full speed: each has a connection, and sends its next request when it has the last one's answer."""

import asyncio
import collections
import re
import time

NUMBER = re.compile(rb'"(\w+)": ?([0-9]+)')


class Pushed:
    """What came back. `statuses`: {status: how often}; `refusals`: {status: one body}; `broken`: exchanges without an answer;
    `members`: {name of a number in the answers: its values}."""

    def __init__(self):
        self.statuses, self.refusals, self.broken = collections.Counter(), {}, 0
        self.members = collections.defaultdict(set)

    def accepted(self):
        return self.statuses[200] + self.statuses[202]


def request(path, body, **headers):
    """The bytes of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _client(port, make, until, pushed):
    number = 0
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while time.monotonic() < until:
                writer.write(make(number))
                number += 1
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = dict(line.split(": ", 1) for line in head.lower().split("\r\n")[1:] if line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                status = int(head.split(" ", 2)[1])
                pushed.statuses[status] += 1
                if status not in (200, 202):
                    pushed.refusals.setdefault(status, body.decode(errors="replace"))
                for name, value in NUMBER.findall(body):
                    pushed.members[name.decode()].add(value.decode())
                if fields.get("connection") == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pushed.broken += 1
        finally:
            writer.close()


def push(port, groups, seconds):
    """`groups`: {name: [maker, ...]}, a client for each maker, a function that makes the bytes of its request of that number.
    Returns {name: Pushed}."""
    pushed = {name: Pushed() for name in groups}

    async def all_of_them():
        until = time.monotonic() + seconds
        await asyncio.gather(*(_client(port, make, until, pushed[name]) for name, makers in groups.items() for make in makers))
    asyncio.run(all_of_them())
    return pushed
