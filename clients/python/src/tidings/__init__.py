"""A client for Tidings. `Publisher` publishes from a backend."""

from .errors import Refused
from .publisher import Publisher

__all__ = ["Publisher", "Refused"]
