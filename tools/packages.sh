# packages.sh: sourced by quickstart.sh and tests/run.sh. Installs the Debian packages that are
# missing: install_packages PACKAGE...
build_packages="build-essential meson ninja-build pkg-config ccache python3 libsqlite3-dev
    libpcre2-dev libjansson-dev libyaml-dev libutf8proc-dev libxxhash-dev zlib1g-dev libcld2-dev"
run_packages="bubblewrap ca-certificates python3-pip"
test_packages="clang-format libboost-context-dev libsimde-dev sqlite3 procps"

install_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "Installing the Debian packages$missing" >&2
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "These Debian packages are missing:$missing; install them as root" >&2
            return 1
        }
        as_root=sudo
    fi
    $as_root apt-get update -qq >&2 &&
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends \
            $missing >/dev/null
}
