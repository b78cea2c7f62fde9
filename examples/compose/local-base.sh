#!/usr/bin/env bash
# Makes the image that the example is built on from this machine's own Debian package source, for a machine that can pull
# no image. Needs root and debootstrap; about two minutes once, nothing when the image is there. Then:
#
#   sudo ./local-base.sh && BASE=murphy-example-base docker compose up -d --build
#
# usage: local-base.sh [IMAGE]      (prints the image's name on stdout, and progress on stderr)
set -euo pipefail

packages=python3,python3-redis,python3-psycopg2,redis-server,postgresql-15,nginx-light
suite=bookworm
image=${1:-murphy-example-base}
label="murphy.base=$suite:$packages"

if [ "$(docker image inspect -f '{{ index .Config.Labels "murphy.base" }}' "$image" 2>/dev/null)" = "${label#*=}" ]; then
    echo "$image"
    exit 0
fi
command -v debootstrap >/dev/null || { echo "local-base.sh: install debootstrap, or pull debian:bookworm-slim" >&2; exit 3; }
[ "$(id -u)" = 0 ] || { echo "local-base.sh: run as root (debootstrap needs it)" >&2; exit 3; }

# The first package source of this machine, in either of apt's two forms, and its proxy.
mirror=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '/^URIs:/ { print $2; exit }')
[ -n "$mirror" ] || mirror=$(awk '/^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^(http|https|file):/) { print $i; exit } }' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true)
[ -n "$mirror" ] || { echo "local-base.sh: no Debian package source in /etc/apt" >&2; exit 3; }
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "${proxy:-}" ] || export http_proxy=$proxy https_proxy=$proxy

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
echo "local-base.sh: making $image" >&2
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >&2
# What an image has no use for.
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
rm -rf "$root"/var/lib/postgresql/15
tar -C "$root" -c . | docker import -c "LABEL $label" -c 'CMD ["bash"]' - "$image" >&2
echo "$image"
