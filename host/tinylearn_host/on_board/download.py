"""Print a file as base64 lines."""

from binascii import b2a_base64


def download(path):
    with open(path, "rb") as f:
        while True:
            part = f.read(192)
            if not part:
                break
            print(b2a_base64(part).decode().strip())
