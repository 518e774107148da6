"""Print the SHA-256 of each file, or None where there is no such file."""

from binascii import hexlify
from hashlib import sha256


def hash_files(paths):
    buffer = memoryview(bytearray(512))
    for path in paths:
        try:
            with open(path, "rb") as f:
                digest = sha256()
                while True:
                    n = f.readinto(buffer)
                    if not n:
                        break
                    digest.update(buffer[:n])
            print(hexlify(digest.digest()).decode())
        except OSError:
            print(None)
