"""Seals or opens serialized payloads: `payloads.py seal|open NAMESPACE`, base64 lines from stdin to stdout."""

import base64
import sys

from encryption_jwt import EncryptionJwtCodec
from temporalio.api.common.v1 import Payload

action, namespace = sys.argv[1:]
codec = EncryptionJwtCodec(namespace)
work = {"seal": codec.seal, "open": codec.open}[action]
for line in sys.stdin:
    payload = work(Payload.FromString(base64.b64decode(line)))
    print(base64.b64encode(payload.SerializeToString()).decode())
