"""The programs here run in environments of their own, by `compare.py`; none is a test."""

collect_ignore_glob = ["*.py"]
