"""The encryption-jwt format as a PayloadCodec, written from its description: one data key of AWS KMS a payload."""

import asyncio
import base64
import os

import boto3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

ENCODING = b"binary/encrypted"
DATA_KEY = "data_key_encrypted"


class EncryptionJwtCodec(PayloadCodec):
    def __init__(self, namespace):
        self.kms = boto3.client("kms")
        self.key = "alias/" + namespace.replace(".", "_")

    async def encode(self, payloads):
        return [await asyncio.to_thread(self.seal, payload) for payload in payloads]

    async def decode(self, payloads):
        return [await asyncio.to_thread(self.open, payload) for payload in payloads]

    def seal(self, payload):
        data_key = self.kms.generate_data_key(KeyId=self.key, KeySpec="AES_256")
        nonce = os.urandom(12)
        sealed = AESGCM(data_key["Plaintext"]).encrypt(nonce, payload.SerializeToString(), None)
        wrapped = base64.b64encode(data_key["CiphertextBlob"])
        return Payload(metadata={"encoding": ENCODING, DATA_KEY: wrapped}, data=nonce + sealed)

    def open(self, payload):
        if payload.metadata["encoding"] != ENCODING or DATA_KEY not in payload.metadata:
            raise ValueError("not an encryption-jwt payload")
        wrapped = base64.b64decode(payload.metadata[DATA_KEY], validate=True)
        data_key = self.kms.decrypt(KeyId=self.key, CiphertextBlob=wrapped)["Plaintext"]
        plaintext = AESGCM(data_key).decrypt(payload.data[:12], payload.data[12:], None)
        return Payload.FromString(plaintext)
