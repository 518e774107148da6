"""Write a file that arrives as base64 lines."""

import sys
from binascii import a2b_base64


def upload(path, size):
    with open(path, "wb") as f:
        while size > 0:
            print("?")
            size -= f.write(a2b_base64(sys.stdin.readline()))
