# What the other scripts need on the machine. Sourced, never run.
#
# Only ever adds what is missing, says what it adds, and names the command to
# type where it may not or cannot add it by itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target_dir=${CARGO_TARGET_DIR:-$root/target}
case $target_dir in /*) ;; *) target_dir=$root/$target_dir ;; esac

refuse() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    shift
    (($#)) && printf '  %s\n' "$@" >&2
    exit 1
}

# require_toolchain [COMPONENT...]: a C compiler and a Rust that is new enough.
require_toolchain() {
    local wanted found component
    wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$root/Cargo.toml")
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        refuse "no Rust toolchain found; $wanted or newer is needed. To install current stable:" \
            "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    fi
    found=$(cd "$root" && rustc --version | sed -n 's/^rustc \([0-9.]*\).*/\1/p')
    if [[ $(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1) != "$wanted" ]]; then
        refuse "rustc $found is older than $wanted, the oldest that builds this workspace. To get current stable:" \
            "rustup update stable && rustup default stable" \
            "(without rustup: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh)"
    fi
    for component; do
        (cd "$root" && cargo "$component" --version >/dev/null 2>&1) ||
            refuse "cargo $component is missing. To add it:" "rustup component add clippy rustfmt"
    done
    install_missing cc=gcc crt1.o=libc6-dev
}

# is_present NAME: NAME is a program, a path, a file of the C library, a library of Java, a
# module of nginx, or `venv`, the part of Python that Debian keeps in a package of its own.
is_present() {
    case $1 in
        /*) [[ -e $1 ]] ;;
        venv) python3 -c 'import venv, ensurepip' 2>/dev/null ;;
        *.o) [[ -n $(compgen -G "/usr/lib/*/$1") || -e /usr/lib/$1 || -e /usr/lib64/$1 ]] ;;
        *.jar) [[ -e /usr/share/java/$1 ]] ;;
        ngx_*.so) [[ -e /usr/lib/nginx/modules/$1 ]] ;;
        *.pem) [[ -e /etc/ssl/certs/ca-certificates.crt || -d /etc/pki/tls/certs ]] ;;
        *) command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 ]] ;;
    esac
}

# As root: installs packages, and starts none of their services, neither now (policy-rc.d is whom
# Debian's packages ask, with systemd and without) nor at the next boot. A policy that is there
# already stays, since it is the operator's.
install_quietly='
    set -eu
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap "rm -f $policy" EXIT
        trap "exit 1" INT TERM
        printf "#!/bin/sh\nexit 101\n" >"$policy"
        chmod 755 "$policy"
    fi
    apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@"
    for package; do
        [[ ! -e /etc/init.d/$package ]] || update-rc.d "$package" disable
    done
'

# install_missing NAME=PACKAGE...: the packages whose NAME is not present.
install_missing() {
    local pair as_root=() packages=()
    for pair; do
        is_present "${pair%%=*}" || packages+=("${pair#*=}")
    done
    ((${#packages[@]})) || return 0
    command -v apt-get >/dev/null ||
        refuse "these are missing, and this is not Debian: ${packages[*]}" "install them with the system's package manager"
    if ((EUID != 0)); then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
            refuse "these packages are missing: ${packages[*]}. To install them:" \
                "sudo apt-get update && sudo apt-get install --no-install-recommends ${packages[*]}"
        as_root=(sudo -n)
    fi
    printf '%s: installing %s\n' "${0##*/}" "${packages[*]}"
    if ! "${as_root[@]}" bash -c "$install_quietly" install "${packages[@]}" \
        </dev/null >"$(log_file apt)" 2>&1; then
        tail -n 20 "$(log_file apt)" >&2
        refuse "installing ${packages[*]} failed; the whole log is $(log_file apt)"
    fi
    for pair; do
        is_present "${pair%%=*}" || refuse "${pair%%=*} is still missing after ${pair#*=} was installed"
    done
}

# ensure_venv FOLDER REQUIREMENTS...: a Python environment with what these files name, made anew when they change.
ensure_venv() {
    local folder=$1 wanted
    shift
    wanted=$(cat /dev/null "$@" | sha256sum)
    [[ -x $folder/bin/python && $(cat "$folder/installed" 2>/dev/null) == "$wanted" ]] && return 0
    printf '%s: installing Python packages into %s\n' "${0##*/}" "$folder"
    rm -rf "$folder"
    if ! { python3 -m venv "$folder" && { (($# == 0)) || "$folder/bin/pip" --disable-pip-version-check --quiet --no-input \
        install "${@/#/--requirement=}"; }; } >"$(log_file venv)" 2>&1; then
        tail -n 20 "$(log_file venv)" >&2
        refuse "installing Python packages failed; the whole log is $(log_file venv)"
    fi
    printf '%s\n' "$wanted" >"$folder/installed"
}

# log_file NAME: where the output of a step is kept.
log_file() {
    mkdir -p "$target_dir/scripts"
    printf '%s/%s-%s.log' "$target_dir/scripts" "${0##*/}" "$1"
}
