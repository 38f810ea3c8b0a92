"""moto's server, whose queues do one thing at a time. Run by the interpreter that has moto, with the server's arguments.

Moto serves each request in a thread of its own, and its queues (5.2) have no lock: a receive looks whether a message is
visible and marks it afterwards, so that two at a time may both have it; of two deletes at a time one may be undone. SQS
promises of a standard queue no more, but then a test could not tell a message that weir took twice from one that was
given twice. With one thread instead of a lock, deletes would wait for long polls.
"""

import threading
import time

import moto.server
from moto.sqs.models import SQSBackend

POLL_EVERY = 0.05

_turn = threading.Lock()
_receive = SQSBackend.receive_message
_delete = SQSBackend.delete_message


def receive_message(self, queue_name, count, wait_seconds_timeout, visibility_timeout, message_attribute_names=None):
    end = time.monotonic() + (wait_seconds_timeout or 0)
    while True:
        with _turn:
            found = _receive(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
        if found or time.monotonic() >= end:
            return found
        time.sleep(POLL_EVERY)


def delete_message(self, queue_name, receipt_handle):
    with _turn:
        _delete(self, queue_name, receipt_handle)


SQSBackend.receive_message = receive_message
SQSBackend.delete_message = delete_message

if __name__ == "__main__":
    moto.server.main()
