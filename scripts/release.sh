#!/usr/bin/env bash
# Builds what a release consists of, into dist/:
#
#   syncline-VERSION-TARGET.tar.gz     the program with its licence, systemd unit and an example of a configuration
#   syncline_VERSION-1_ARCH.deb        the same as a Debian package
#   syncline-client-VERSION.tgz, …     the TypeScript packages, as npm publishes them
#   *.cdx.json                         what is inside (SBOM, CycloneDX)
#   SHA256SUMS                         checksums of all of these
#
# On Linux the program is linked with musl and needs no library of the system. Where that cannot be built, this says what is
# missing and builds for the system's glibc. A release build takes many minutes.
#
#   scripts/release.sh                 a release
#   scripts/release.sh --profile dev   the same from a debug build, to try the packaging
#   scripts/release.sh --skip-build    package the program that an earlier build left in target/
#   scripts/release.sh --glibc         no musl, even if it could be had
#   scripts/release.sh --no-npm        without the TypeScript packages
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    echo "release: $*" >&2
    exit 1
}

profile=release
build=yes
musl=yes
npm=yes
while [ $# -gt 0 ]; do
    case "$1" in
    --profile)
        profile=${2:?--profile NAME}
        shift
        ;;
    --skip-build) build=no ;;
    --glibc) musl=no ;;
    --no-npm) npm=no ;;
    *) fail "unknown argument $1; the head of this script lists what there is" ;;
    esac
    shift
done
[ "$(uname -s)" = Linux ] || fail "releases are built on Linux; on other systems: cargo install --locked --path ."

# shellcheck disable=SC2034 # read by setup.sh
for_release=yes
# shellcheck source=scripts/setup.sh
. scripts/setup.sh
scripts/tools.sh cargo-deb cargo-cyclonedx
export PATH="$PWD/.tools/bin:$PATH"

# Files carry the time of the commit, so that the same commit gives the same archive.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
version=$(cargo pkgid --locked --package syncline | sed 's/.*[#@]//')
host=$(rustc -vV | sed -n 's/^host: //p')
target=$host
built=${CARGO_TARGET_DIR:-target}

# Whether a program can be linked with musl here. Says what is missing.
musl_target=$(uname -m)-unknown-linux-musl
has_musl() {
    local lacking=()
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$musl_target" ] && ! rustup target add "$musl_target" >&2; then
        lacking+=("Rust's standard library for $musl_target (rustup target add $musl_target)")
    fi
    if ! command -v musl-gcc >/dev/null; then
        lacking+=("musl-gcc, which compiles SQLite and jemalloc (Debian: apt-get install musl-tools)")
    fi
    if [ ${#lacking[@]} -gt 0 ]; then
        printf 'release: no static program: missing %s\n' "${lacking[@]}" >&2
        return 1
    fi
}
if [ "$musl" = yes ] && has_musl; then
    target=$musl_target
    # Crates with C in them look for a compiler of the target's name.
    export "CC_${target//-/_}=musl-gcc"
fi

folder=$profile
[ "$profile" != dev ] || folder=debug
program=$built/$target/$folder/syncline
if [ "$build" = yes ]; then
    echo "release: building syncline $version for $target, profile $profile"
    cargo build --locked --package syncline --bin syncline --profile "$profile" --target "$target"
fi
[ -x "$program" ] || fail "there is no $program; leave out --skip-build"
said=$("$program" --version)
[ "$said" = "syncline $version" ] || fail "$program is '$said' and not version $version"

rm -rf dist
mkdir dist
work=$(mktemp -d "${TMPDIR:-/tmp}/syncline-release.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "release: archive"
name=syncline-$version-$target
mkdir "$work/$name"
strip --strip-debug -o "$work/$name/syncline" "$program"
cp LICENSE README.md CHANGELOG.md SECURITY.md deploy/syncline.service deploy/syncline.toml "$work/$name/"
tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -c "$name" |
    gzip -9n >"dist/$name.tar.gz"

echo "release: Debian package"
cargo deb --quiet --no-build --locked --package syncline --profile "$profile" --target "$target" --output dist/

echo "release: SBOM"
# It writes one beside each Cargo.toml of the workspace; that of the server lists all that is linked into it.
cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$target" --override-filename release-sbom.cdx
# Without the path of this checkout.
sed "s|file://$PWD|file://|g" release-sbom.cdx.json >"dist/syncline-$version.cdx.json"
find . -name release-sbom.cdx.json -not -path './target/*' -not -path '*/node_modules/*' -delete

if [ "$npm" = yes ]; then
    echo "release: TypeScript packages"
    scripts/typescript.sh pack dist
fi

(cd dist && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
echo
[ "$target" = "$musl_target" ] || echo "release: this program needs the glibc of the machine it was built on, or a newer one"
[ "$profile" = release ] || echo "release: this is a trial with the profile $profile, and nothing to publish"
ls -l dist
