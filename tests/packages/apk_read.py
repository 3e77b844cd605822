"""apk_read.py PACKAGE CONTROL DATA: unpacks a package in the format of apk-tools 2, checking what apk checks.

The gzip members are told apart, the data's hash must be the one in .PKGINFO, and each file's SHA-1 the one in its header.
"""
import hashlib
import io
import sys
import tarfile
import zlib


def members(raw):
    """The gzip members of a file: compressed and uncompressed bytes of each."""
    while raw:
        unpacker = zlib.decompressobj(31)
        content = unpacker.decompress(raw) + unpacker.flush()
        used = len(raw) - len(unpacker.unused_data)
        yield raw[:used], content
        raw = raw[used:]


package, control, data = sys.argv[1:]
(_, first), (compressed, second) = members(open(package, "rb").read())
assert not first.endswith(bytes(1024)), "the control part must not end like a complete archive"
archive = tarfile.open(fileobj=io.BytesIO(first + bytes(1024)))
assert archive.getnames()[0] == ".PKGINFO", archive.getnames()
archive.extractall(control)
info = dict(line.split(" = ", 1) for line in open(control + "/.PKGINFO").read().splitlines())
assert info["datahash"] == hashlib.sha256(compressed).hexdigest(), "datahash"
archive = tarfile.open(fileobj=io.BytesIO(second))
for entry in archive:
    if entry.isfile():
        content = archive.extractfile(entry).read()
        assert entry.pax_headers["APK-TOOLS.checksum.SHA1"] == hashlib.sha1(content).hexdigest(), entry.name
    assert entry.uid == entry.gid == 0 and not entry.name.startswith(("/", "./")), entry.name
archive.extractall(data)
