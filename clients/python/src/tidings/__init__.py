"""A client for Tidings: one session over WebSocket, server-sent events or long polls, that comes back by itself and misses nothing.

`Tidings` is the client for asyncio, `Publisher` publishes from a backend.
"""

from .client import Tidings
from .errors import Refused
from .events import Gap, Message, Presence, State, Typing, User
from .options import Options
from .publisher import Publisher
from .room import Room

__all__ = ["Gap", "Message", "Options", "Presence", "Publisher", "Refused", "Room", "State", "Tidings", "Typing", "User"]
