"""argon2_check.py DATABASE PASSWORD: the Argon2id hash in a database file is what the reference library makes of the same salt.

The library is Debian's libargon2, called directly: its command line program takes no salt with a zero byte in it. The file is
read as bytes, with its write-ahead log, because the server that owns it is running; the hash ends after its 32 bytes, since the
next column's first byte may well be a letter. What is hashed is the password's
SHA-256 in hexadecimal, so that the clear text and the form a browser sends verify against one hash.
"""
import base64
import ctypes
import hashlib
import os
import re
import sys

database, password = sys.argv[1:]
raw = b"".join(open(path, "rb").read() for path in (database, database + "-wal") if os.path.exists(path))
found = re.search(rb"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]{43})", raw)
if not found:
    sys.exit("no Argon2id hash in the database")
memory, passes, lanes = (int(found.group(i)) for i in (1, 2, 3))
salt, stored = (base64.b64decode(found.group(i) + b"=" * (-len(found.group(i)) % 4)) for i in (4, 5))
library = ctypes.CDLL("libargon2.so.1")
secret = hashlib.sha256(password.encode()).hexdigest().encode()
out = ctypes.create_string_buffer(len(stored))
status = library.argon2id_hash_raw(passes, memory, lanes, secret, ctypes.c_size_t(len(secret)), salt,
                                   ctypes.c_size_t(len(salt)), out, ctypes.c_size_t(len(stored)))
assert status == 0, status
assert out.raw == stored, f"m={memory} t={passes} p={lanes}: the reference makes {out.raw.hex()}, stored is {stored.hex()}"
assert (memory, passes, lanes) == (12288, 3, 1), (memory, passes, lanes)
