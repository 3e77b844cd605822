"""apk.py DATA CONTROL ARCH VERSION OUTPUT: writes a package in the format of apk-tools 2.

Two gzip members, one after the other: a tar cut off before its end marker with .PKGINFO and the scripts of CONTROL, and a
complete tar of DATA in which every file carries its SHA-1 (the format's own choice). The first names the SHA-256 of the
second. A signature would be a third member before both; there is none.
"""
import gzip
import hashlib
import io
import os
import sys
import tarfile

EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])


def entries(top):
    """The paths below a directory, sorted, relative to it."""
    found = []
    for directory, directories, files in os.walk(top):
        found += [os.path.relpath(os.path.join(directory, name), top) for name in directories + files]
    return sorted(found)


def add(archive, top, name, with_checksum):
    """Appends one file or directory, owned by root and dated by the source."""
    info = archive.gettarinfo(os.path.join(top, name), name)
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = EPOCH
    if not info.isfile():
        archive.addfile(info)
        return
    content = open(os.path.join(top, name), "rb").read()
    if with_checksum:
        info.pax_headers = {"APK-TOOLS.checksum.SHA1": hashlib.sha1(content).hexdigest()}
    archive.addfile(info, io.BytesIO(content))


def member(raw):
    """One gzip member without a name or a time."""
    return gzip.compress(raw, 9, mtime=0)


def main(data, control, arch, version, output):
    raw = io.BytesIO()
    archive = tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT)
    for name in entries(data):
        add(archive, data, name, True)
    archive.close()
    data_member = member(raw.getvalue())

    size = sum(os.path.getsize(os.path.join(data, n)) for n in entries(data) if os.path.isfile(os.path.join(data, n)))
    with open(os.path.join(control, ".PKGINFO"), "w") as info:
        info.write("pkgname = bangui\n" f"pkgver = {version}\n"
                   "pkgdesc = web API for fail2ban in one small static program\n"
                   "origin = bangui\n" "maintainer = The bangui project\n" "license = MIT OR Apache-2.0\n"
                   f"datahash = {hashlib.sha256(data_member).hexdigest()}\n")
    os.chmod(os.path.join(control, ".PKGINFO"), 0o644)
    raw = io.BytesIO()
    archive = tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT)
    # .PKGINFO must come first; the archive is not closed, because the end marker would end the package for apk.
    for name in sorted(entries(control), key=lambda name: (name != ".PKGINFO", name)):
        add(archive, control, name, False)
    with open(output, "wb") as package:
        package.write(member(raw.getvalue()) + data_member)


main(*sys.argv[1:])
