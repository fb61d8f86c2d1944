"""Raw sockets against a server on this machine: bytes in, status or end of the connection out."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Heard:
    """What came back until the other end closed, or nothing more came: each answer's status, and the bytes."""

    statuses: list[int]
    data: bytes
    closed: bool


def connect(port: int, *, seconds: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), seconds)


def say(port: int, *pieces: bytes, seconds: float = 10, answers: int = 1) -> Heard:
    """Send the pieces, read until there are so many whole answers, or the end."""
    with connect(port, seconds=seconds) as one:
        try:
            for piece in pieces:
                one.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was all sent: what was answered can still be read
        return hear(one, answers=answers)


def hear(one: socket.socket, *, answers: int = 1) -> Heard:
    data, closed = b"", False
    while len(found := statuses(data)) < answers or not whole(data):
        try:
            piece = one.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        except TimeoutError:
            return Heard(found, data, closed=False)
        if not piece:
            closed = True
            break
        data += piece
    return Heard(statuses(data), data, closed)


def statuses(data: bytes) -> list[int]:
    """The status of each answer, by its framing."""
    found = []
    while b"\r\n\r\n" in data:
        head, data = data.split(b"\r\n\r\n", 1)
        found.append(int(head.split()[1]))
        data = data[length_of(head) :]
    return found


def whole(data: bytes) -> bool:
    """Whether the last answer is there to its end."""
    while b"\r\n\r\n" in data:
        head, data = data.split(b"\r\n\r\n", 1)
        if len(data) < length_of(head):
            return False
        data = data[length_of(head) :]
    return not data


def length_of(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(one.split(b":")[1]) for one in lines if one.startswith(b"content-length:")), 0)
