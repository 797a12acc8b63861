"""Reviewing over the mesh's HTTP API: the queue's lines, one case, one decision, the figures."""

import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from mesh.cli.alert_client import ApiFailed
from mesh.errors import InvalidInput

TIMEOUT_S: Final = 10.0
