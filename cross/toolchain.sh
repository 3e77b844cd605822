# Sourced by the scripts of this directory: where the tools lie and which versions they are.
#
# It defines names and functions and changes nothing on disk. Setting up is cross/setup's work.

# As cargo sees it, without symbolic links.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${BANGUI_CROSS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/bangui-cross}

# The standard library's source must be of the very compiler that builds it.
RUST_VERSION=$(rustc -vV 2>/dev/null | sed -n 's/^release: //p')
# zig is the C compiler, the linker and the musl of every target. 0.15.2 still carries musl's own allocator;
# 0.17 links Zig's in its place, which keeps 13 MB after a burst where musl's keeps 2.
ZIG_VERSION=0.15.2
ZIGBUILD_VERSION=0.24.0

TARGETS="x86_64-unknown-linux-musl i686-unknown-linux-musl aarch64-unknown-linux-musl
armv7-unknown-linux-musleabihf arm-unknown-linux-musleabihf arm-unknown-linux-musleabi
mipsel-unknown-linux-musl mips-unknown-linux-musl riscv64gc-unknown-linux-musl"

# fail MESSAGE...: what went wrong and what to do, then the end.
fail() {
    printf 'cross: %s\n' "$@" >&2
    exit 1
}

# std_source: prints the directory of the standard library's source, or nothing.
# rustup's component comes first, because on a machine that has it nothing else needs to be fetched.
std_source() {
    local d
    for d in "$(rustc --print sysroot)/lib/rustlib/src/rust/library" "$CACHE/std-$RUST_VERSION/library"; do
        if [ -f "$d/std/Cargo.toml" ]; then
            echo "$d"
            return
        fi
    done
}

# std_prebuilt TARGET: true when `rustup target add TARGET` was done.
std_prebuilt() {
    ls "$(rustc --print sysroot)/lib/rustlib/$1/lib/"libstd-*.rlib >/dev/null 2>&1
}
