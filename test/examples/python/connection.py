"""The client of the Python programs: its payloads are sealed in the encryption-jwt format."""

import dataclasses
import os

from encryption_jwt import EncryptionJwtCodec
from temporalio.client import Client
from temporalio.converter import default

TASK_QUEUE = "encryption-task-queue"


async def connect(namespace):
    codec = EncryptionJwtCodec(namespace)
    converter = dataclasses.replace(default(), payload_codec=codec)
    return await Client.connect(os.environ["TEMPORAL_ADDRESS"], namespace=namespace, data_converter=converter)
