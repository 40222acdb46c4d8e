# SPDX-License-Identifier: GPL-2.0-only
# What every script here starts with: places, messages, the build lock.

set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
jobs=${JOBS:-$(nproc)}
mkdir -p "$build"

say() { printf '==> %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Kernel builds share the source trees and two cores: one at a time. A script
# that holds the lock passes it on to the scripts that it runs.
build_lock()
{
	[ -n "${SERIES_LOCKED:-}" ] && return
	exec 9>"${BUILD_LOCK:-$build/.lock}"
	flock 9
	export SERIES_LOCKED=1
}

# The source tree that a kernel is built from.
tree_of()
{
	case $1 in
	peer) echo "$build/peer-linux" ;;
	*) echo "$build/linux" ;;
	esac
}
