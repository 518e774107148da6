"""Say whether a .tld fits the model, in the words of the board's own reader."""

import tinylearn
from tinylearn.delta import check as check_delta


def check(model, path):
    try:
        with open(path, "rb") as f:
            check_delta(tinylearn.load(model, recall=False), f)
    except ValueError as e:
        print(e)
    else:
        print("fits")
