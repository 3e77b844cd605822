# Sourced by the scripts of this directory: assertions that count, and Debian roots.

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ROOTS=${BANGUI_CROSS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/bangui-cross}/roots
SUITE=${BANGUI_TEST_SUITE:-bookworm}
passed=0
failed=0

fail() {
    printf 'packages: %s\n' "$@" >&2
    exit 1
}

# need PROGRAM...: ends the test when one is missing; a test that cannot run has not passed.
need() {
    local program
    for program; do
        command -v "$program" >/dev/null || fail "$program is missing: apt-get install the Debian package that has it."
    done
}

ok() {
    passed=$((passed + 1))
    echo "  ok    $1"
}

bad() {
    failed=$((failed + 1))
    echo "  BAD   $1"
}

# holds NAME COMMAND...: the command must succeed.
holds() {
    local name=$1
    shift
    if "$@" >/tmp/packages-check.$$ 2>&1; then ok "$name"; else
        bad "$name"
        sed 's/^/        /' /tmp/packages-check.$$
    fi
    rm -f /tmp/packages-check.$$
}

# fails NAME COMMAND...: the command must not succeed.
fails() {
    local name=$1
    shift
    if "$@" >/dev/null 2>&1; then bad "$name"; else ok "$name"; fi
}

# is NAME EXPECTED ACTUAL: the two must be the same text.
is() {
    if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: expected '$2', got '$3'"; fi
}

# finish NAME: the summary, and the exit status.
finish() {
    echo "$1: $passed passed, $failed failed"
    [ "$failed" = 0 ]
}

# Whether the kernel hands programs of the root's machine to the emulator by itself: /usr/lib/binfmt.d/qemu-*.conf is registered. Then chroot
# does, and proot is not needed; Debian 12's proot 5.1 does not know all calls of newer programs (faccessat2).
kernel_emulates() { grep -q '^enabled' "/proc/sys/fs/binfmt_misc/${ROOT_EMULATOR%%-static*}" 2>/dev/null; }

# inside COMMAND...: runs in the root made last by debian_root.
inside() {
    local environment=(PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive)
    if [ -n "$ROOT_EMULATOR" ] && ! kernel_emulates; then
        # proot alone would show this machine's /proc and /dev, which is what programs in the root expect.
        env -i "${environment[@]}" proot -q "$ROOT_EMULATOR" -0 -r "$ROOT_DIRECTORY" -b /proc -b /dev -w / "$@"
    else
        env -i "${environment[@]}" chroot "$ROOT_DIRECTORY" "$@"
    fi
}

# debian_root ARCH DIRECTORY EMULATOR: a minimal Debian, unpacked from the cache, which is filled the first time.
debian_root() {
    local arch=$1 made=$ROOTS/$SUITE-$1.tar mirror
    ROOT_DIRECTORY=$2 ROOT_EMULATOR=$3
    mkdir -p "$ROOTS" "$2"
    if [ ! -f "$made" ]; then
        mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/\?$' || echo http://deb.debian.org/debian)
        rm -rf "$ROOTS/$SUITE-$arch"
        if [ -z "$3" ]; then
            debootstrap --variant=minbase --arch="$arch" "$SUITE" "$ROOTS/$SUITE-$arch" "$mirror" >"$ROOTS/$arch.log" 2>&1 ||
                fail "debootstrap failed: see $ROOTS/$arch.log"
        else
            debootstrap --variant=minbase --foreign --arch="$arch" "$SUITE" "$ROOTS/$SUITE-$arch" "$mirror" >"$ROOTS/$arch.log" 2>&1 ||
                fail "debootstrap failed: see $ROOTS/$arch.log"
            ROOT_DIRECTORY=$ROOTS/$SUITE-$arch
            inside /debootstrap/debootstrap --second-stage >>"$ROOTS/$arch.log" 2>&1 ||
                fail "debootstrap's second stage failed: see $ROOTS/$arch.log"
            ROOT_DIRECTORY=$2
        fi
        tar -C "$ROOTS/$SUITE-$arch" -cf "$made.new" . && mv "$made.new" "$made"
        rm -rf "${ROOTS:?}/$SUITE-$arch"
    fi
    tar -C "$2" -xpf "$made"
}
