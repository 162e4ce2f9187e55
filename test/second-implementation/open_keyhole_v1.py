"""Opens the keyhole/v1 vectors; written from docs/format.md alone, with nothing of the product."""

import base64
import hmac
import json
import re
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NAMESPACE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
FOREIGN_MARKS = {"data_key_encrypted", "encryption-dek", "encryption-cipher"}


class Refused(Exception):
    pass


def require(holds, why):
    if not holds:
        raise Refused(why)


def prefixed(value):
    return struct.pack(">H", len(value)) + value


def aes_gcm_open(key, sealed, associated_data):
    require(len(sealed) >= 28, "length")
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], associated_data)
    except InvalidTag as error:
        raise Refused("tag") from error


def unwrap_local(secret, wrapped, key_id, namespace):
    require(len(wrapped) == 60, "data key")
    label = b"temporal-keyhole local/v1"
    try:
        return aes_gcm_open(secret, wrapped, label + prefixed(key_id) + b"\x01" + prefixed(namespace))
    except Refused as error:
        raise Refused("data key") from error


def open_payload(metadata, data, own_namespace, secrets):
    require(metadata.get("encoding") == b"binary/encrypted", "format")
    require(metadata.get("encryption-format") == b"keyhole/v1", "format")
    require(not FOREIGN_MARKS & metadata.keys(), "marks")
    namespace = metadata.get("encryption-namespace", b"")
    require(NAMESPACE.fullmatch(namespace) and namespace == own_namespace, "namespace")
    key_id = metadata.get("encryption-key-id", b"")
    require(1 <= len(key_id) <= 512 and key_id in secrets, "key id")
    commitment = metadata.get("encryption-commitment", b"")
    require(len(commitment) == 32, "commitment")
    data_key = unwrap_local(secrets[key_id], metadata.get("encryption-data-key", b""), key_id, namespace)
    info = b"temporal-keyhole keyhole/v1" + prefixed(namespace) + prefixed(key_id)
    derived = HKDF(SHA512(), 64, b"", info).derive(data_key)
    require(hmac.compare_digest(derived[32:], commitment), "commitment")
    return aes_gcm_open(derived[:32], data, b"keyhole/v1")


def main(path):
    decode = base64.standard_b64decode
    opened = refused = 0
    with open(path, encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    for case in cases:
        metadata = {key: decode(value) for key, value in case["payload"]["metadata"].items()}
        secrets = {case["keyId"].encode(): decode(case["secret"])}
        try:
            plaintext = open_payload(metadata, decode(case["payload"]["data"]), case["namespace"].encode(), secrets)
        except Refused as reason:
            assert str(reason) == case.get("refused"), f"{case['name']}: refused for its {reason}"
            refused += 1
        else:
            assert "refused" not in case, f"{case['name']}: opened"
            assert plaintext == decode(case["plaintext"]), f"{case['name']}: opened to something else"
            opened += 1
    print(json.dumps({"opened": opened, "refused": refused}))


main(sys.argv[1])
