# Sourced by the build-* scripts of this directory: version, binary, reproducible archives.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DIST=${BANGUI_DIST:-$ROOT/dist}
# BANGUI_VERSION lets the tests make an "older" package of the same program.
VERSION=${BANGUI_VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

# fail MESSAGE...: what went wrong and what to do, then the end.
fail() {
    printf 'packaging: %s\n' "$@" >&2
    exit 1
}

# binary TARGET: prints the path of its program in dist/.
binary() {
    [ -f "$DIST/bangui-$1" ] || fail "$DIST/bangui-$1 is missing." "Run cross/build $1 first."
    echo "$DIST/bangui-$1"
}

# pack DIRECTORY NAMES...: a tar of the names on standard output that depends on nothing but their content.
pack() {
    local directory=$1
    shift
    tar -C "$directory" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=gnu -c "$@"
}

# target_of_openwrt ARCH: the target whose program runs on what OpenWrt and Alpine call ARCH.
target_of_openwrt() {
    case $1 in
    x86_64) echo x86_64-unknown-linux-musl ;;
    i386_pentium4 | i386_pentium-mmx | x86) echo i686-unknown-linux-musl ;;
    aarch64 | aarch64_generic | aarch64_cortex-a53 | aarch64_cortex-a72 | aarch64_cortex-a76) echo aarch64-unknown-linux-musl ;;
    armv7 | arm_cortex-a7_neon-vfpv4 | arm_cortex-a8_vfpv3 | arm_cortex-a9_neon | arm_cortex-a9_vfpv3-d16 | arm_cortex-a15_neon-vfpv4 | arm_cortex-a5_vfpv4 | arm_cortex-a7_vfpv4)
        echo armv7-unknown-linux-musleabihf ;;
    arm_cortex-a9) echo arm-unknown-linux-musleabi ;;
    armhf | arm_arm1176jzf-s_vfp) echo arm-unknown-linux-musleabihf ;;
    mips_24kc) echo mips-unknown-linux-musl ;;
    mipsel_24kc | mipsel_74kc) echo mipsel-unknown-linux-musl ;;
    riscv64 | riscv64_generic | riscv64_riscv64) echo riscv64gc-unknown-linux-musl ;;
    *) return 1 ;;
    esac
}

# openwrt_tree DIRECTORY PROGRAM: what both OpenWrt packages install.
openwrt_tree() {
    local from=$ROOT/packaging/openwrt
    install -D -m 755 "$2" "$1/usr/bin/bangui"
    install -D -m 755 "$from/bangui.init" "$1/etc/init.d/bangui"
    install -D -m 600 "$from/bangui.config" "$1/etc/config/bangui"
    install -D -m 644 "$from/bangui.keep" "$1/lib/upgrade/keep.d/bangui"
    install -d -m 700 "$1/etc/bangui"
}

# printer PROGRAM: a bangui that runs at this machine. One for another machine prints the same completions and manual page, and cannot be asked.
printer() {
    local try
    for try in "$1" "$DIST/bangui-$(uname -m)-unknown-linux-musl" "$ROOT/target/release/bangui" "$ROOT/target/debug/bangui"; do
        if [ -x "$try" ] && "$try" --version >/dev/null 2>&1; then
            echo "$try"
            return
        fi
    done
    fail "no program here that runs at this machine and prints completions." "Run cross/build $(uname -m)-unknown-linux-musl, or cargo build, first."
}

# shell_files DIRECTORY PROGRAM ZSH FISH: completions and the manual page, where this system's shells look; OpenWrt has none of them.
shell_files() {
    local program
    program=$(printer "$2")
    install -d "$1/usr/share/bash-completion/completions" "$1/usr/share/zsh/$3" "$1/usr/share/fish/$4" "$1/usr/share/man/man1"
    "$program" completions bash >"$1/usr/share/bash-completion/completions/bangui"
    "$program" completions zsh >"$1/usr/share/zsh/$3/_bangui"
    "$program" completions fish >"$1/usr/share/fish/$4/bangui.fish"
    "$program" man | gzip -9n >"$1/usr/share/man/man1/bangui.1.gz"
    chmod 644 "$1/usr/share/bash-completion/completions/bangui" "$1/usr/share/zsh/$3/_bangui" "$1/usr/share/fish/$4/bangui.fish" \
        "$1/usr/share/man/man1/bangui.1.gz"
}

# checksum FILE: writes FILE.sha256 beside it and shows it.
checksum() {
    (cd "$(dirname "$1")" && sha256sum "$(basename "$1")" | tee "$(basename "$1").sha256")
}
