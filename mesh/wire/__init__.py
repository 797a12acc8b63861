"""How rows cross a process boundary: the frames and their bytes. Pure and sans-IO: bytes in, frames out."""

from mesh.wire.codec import decode, encode, pack, unpack
from mesh.wire.connection import ClientConnection, ServerConnection
from mesh.wire.errors import Refused, WireError
from mesh.wire.frames import Failure, Frame, GoAway, Hello, Ping, Pong, Reply, Request, Welcome
from mesh.wire.reader import FrameReader

__all__ = [
    "ClientConnection",
    "Failure",
    "Frame",
    "FrameReader",
    "GoAway",
    "Hello",
    "Ping",
    "Pong",
    "Refused",
    "Reply",
    "Request",
    "ServerConnection",
    "Welcome",
    "WireError",
    "decode",
    "encode",
    "pack",
    "unpack",
]
