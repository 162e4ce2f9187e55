"""Writes vectors with Python's own programs: `python generate.py DIRECTORY`; a file that is there is never touched."""

import asyncio
import base64
import gzip
import json
import os
import pathlib
import sys
import zlib
from importlib.metadata import version

import cramjam
import snappy
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.converter import default


LARGE = 10_000


def text(value):
    return base64.standard_b64encode(value).decode()


def case(name, plaintext, metadata, data, **rest):
    payload = {"metadata": {key: text(value) for key, value in metadata.items()}, "data": text(data)}
    return {"name": name, **rest, "plaintext": text(plaintext), "payload": payload}


def aes_gcm(name, plaintext):
    """As the samples' codec: a nonce of 12 bytes, then ciphertext and tag."""
    key, nonce = os.urandom(32), os.urandom(12)
    metadata = {"encoding": b"binary/encrypted", "encryption-key-id": b"team-key-1"}
    data = nonce + AESGCM(key).encrypt(nonce, plaintext, None)
    return case(name, plaintext, metadata, data, keyId="team-key-1", secret=text(key))


def fernet(name, plaintext):
    key = Fernet.generate_key()
    secret = text(base64.urlsafe_b64decode(key))
    return case(name, plaintext, {"encoding": b"binary/encrypted"}, Fernet(key).encrypt(plaintext), secret=secret)


def compressed(name, plaintext):
    forms = {
        "zlib": ("binary/zlib", zlib.compress(plaintext)),
        "gzip": ("binary/gzip", gzip.compress(plaintext)),
        "snappy block": ("binary/snappy", snappy.compress(plaintext)),
        "snappy framed": ("binary/snappy", bytes(cramjam.snappy.compress(plaintext))),
    }
    return [
        case(f"{name}, {form}", plaintext, {"encoding": encoding.encode()}, data)
        for form, (encoding, data) in forms.items()
        if len(plaintext) < LARGE or form == "snappy framed"
    ]


def write(directory, file, origin, cases):
    path = pathlib.Path(directory, file)
    if path.exists():
        print(f"{file} is there already; vectors are only ever added")
    else:
        path.write_text(json.dumps({"origin": origin, "cases": cases}, indent=2) + "\n")


async def main(directory):
    values = {
        "a string": "Hello, Temporal",
        "bytes": bytes([0, 1, 254, 255]),
        "nothing": None,
        "a larger object": {"lines": "the same line again\n" * 200},
        "more than one chunk of a frame": os.urandom(100).hex() + "x" * 66_000,
    }
    converter = default().payload_converter
    made = {name: converter.to_payloads([value])[0].SerializeToString(deterministic=True) for name, value in values.items()}
    small = {name: plaintext for name, plaintext in made.items() if len(plaintext) < LARGE}

    def used(*packages):
        return ", ".join(f"{package} {version(package)}" for package in packages)

    write(directory, "static-key.python.json", f"the shape of samples-python's codec, with {used('cryptography', 'temporalio')}",
          [aes_gcm(*item) for item in small.items()])
    write(directory, "fernet.python.json", used("cryptography", "temporalio"), [fernet(*item) for item in small.items()])
    write(directory, "compression.python.json", f"zlib and gzip of Python, {used('python-snappy', 'cramjam', 'temporalio')}",
          [one for item in made.items() for one in compressed(*item)])


asyncio.run(main(sys.argv[1]))
