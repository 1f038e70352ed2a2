#!/usr/bin/env bash
# Gets the tools that the benchmarks compare with, as far as this machine can, and says for each what
# came of it.
#
#     bench/peers/install.sh [TOOL...]
#
# TOOL is openssh, chisel, frp, rathole or wstunnel; all by default. A tool that is there in the
# version wanted is left as it is. Exits with 1 when not one of the tools is there at the end.
#
# PEERS_BIN         where the programs go; the bin folder beside this script by default
# WSTUNNEL_SOURCE   a folder with the source of wstunnel, for where its repository is out of reach

set -u -o pipefail

chisel_version=1.11.3
frp_version=0.70.1
rathole_version=0.5.0
wstunnel_version=10.6.2

bin=${PEERS_BIN:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/bin}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssh() {
  PATH=$PATH:/usr/sbin
  if has sshd && has ssh && has ssh-keygen; then return; fi
  packages openssh-server openssh-client
}

chisel() {
  if installed chisel $chisel_version; then return; fi
  needs go || return
  go_build github.com/jpillora/chisel "v$chisel_version" . chisel \
    -ldflags "-s -w -X github.com/jpillora/chisel/share.BuildVersion=$chisel_version"
}

# Its dashboards are made by another build, and nobody looks at them here: hence noweb.
frp() {
  local program
  for program in frps frpc; do
    if installed $program $frp_version; then continue; fi
    needs go || return
    go_build github.com/fatedier/frp "v$frp_version" "./cmd/$program" $program \
      -ldflags "-s -w" -tags "$program,noweb" || return
  done
}

# Without its lock file, which holds a package that compilers since Rust 1.80 refuse.
rathole() {
  if installed rathole $rathole_version; then return; fi
  needs cargo || return
  if ! has pkg-config || ! pkg-config --exists openssl; then
    packages pkg-config libssl-dev || return
  fi
  cargo_install rathole --version $rathole_version --no-default-features \
    --features server,client,tls,noise
}

# Its authors publish no package, so it comes from their repository.
wstunnel() {
  if installed wstunnel $wstunnel_version; then return; fi
  needs cargo || return
  if [ -n "${WSTUNNEL_SOURCE:-}" ]; then
    cargo_install --path "$WSTUNNEL_SOURCE/wstunnel-cli" --locked
  else
    cargo_install --git https://github.com/erebe/wstunnel --tag "v$wstunnel_version" --locked \
      wstunnel-cli
  fi
}

# Builds within the module: `go install` refuses one whose go.mod replaces a dependency.
go_build() { # MODULE VERSION PACKAGE PROGRAM FLAG...
  local module=$1 version=$2 package=$3 program=$4 folder
  shift 4
  # Out of any module, so that this one alone is asked for.
  folder=$(cd "$work" && go mod download -json "$module@$version" |
    sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') || return
  (cd "$folder" && CGO_ENABLED=0 go build -trimpath -o "$bin/$program" "$@" "$package")
}

cargo_install() {
  cargo install --root "$work/cargo" "$@" && cp "$work"/cargo/bin/* "$bin/"
}

packages() {
  if has apt-get && [ "$(id -u)" = 0 ]; then
    apt-get install -y --no-install-recommends "$@"
  else
    echo "install the packages $* (as root)" >&2
    return 1
  fi
}

needs() {
  if has "$1"; then return; fi
  echo "$1 is not installed" >&2
  return 1
}

installed() { # PROGRAM VERSION
  [ -x "$bin/$1" ] && "$bin/$1" --version 2>&1 | grep -qF "$2"
}

has() {
  command -v "$1" >/dev/null
}

all=(openssh chisel frp rathole wstunnel)
wanted=("${@:-${all[@]}}")
for tool in "${wanted[@]}"; do
  case " ${all[*]} " in
    *" $tool "*) ;;
    *)
      echo "there is no tool \"$tool\": use ${all[*]}" >&2
      exit 2
      ;;
  esac
done

mkdir -p "$bin" || exit
there=0
for tool in "${wanted[@]}"; do
  echo "$tool: installing, which may take minutes"
  if "$tool" >"$work/log" 2>&1; then
    echo "$tool: installed"
    there=$((there + 1))
  else
    echo "$tool: NOT installed:"
    tail -n 5 "$work/log" | sed 's/^/    /'
  fi
done
echo "$there of ${#wanted[@]} tools are there"
[ "$there" -gt 0 ]
