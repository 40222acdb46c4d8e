# SPDX-License-Identifier: GPL-2.0-only
# Every shell script here sources this file first: places, messages, --help, the
# build lock.

set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
jobs=${JOBS:-$(nproc)}

# The opening comment of a script is its help.
usage() { awk 'NR > 2 && !/^#/ { exit } NR > 2 && (n || $0 != "#") { n++; sub(/^# ?/, ""); print }' "$0"; }

case ${1:-} in
-h | --help) usage; exit 0 ;;
esac

mkdir -p "$build"

say() { printf '==> %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Kernel builds share the source trees: one at a time. A script that holds the lock
# passes it on to the scripts that it runs.
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

# Compile through ccache: kernels whose configurations differ in a few options
# have most objects in common. Debian's links named after the compilers leave
# make's command lines as they are. Without the package, compile as usual.
use_ccache()
{
	[ -d /usr/lib/ccache ] || return 0
	export PATH=/usr/lib/ccache:$PATH CCACHE_DIR=$build/ccache CCACHE_MAXSIZE=3G
}

codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-unknown}" || echo unknown)

# apt_sources: the sources of this machine, each as "OPTIONS|URI|SUITES|COMPONENTS"
apt_sources()
{
	local files=()
	shopt -s nullglob
	files=(/etc/apt/sources.list.d/*.sources)
	[ ${#files[@]} = 0 ] || awk '
		function flush() {
			if (uris != "" && on != "no" && types ~ /(^| )deb( |$)/)
				print (key != "" ? "signed-by=" key : "") "|" uris "|" suites "|" parts
			uris = suites = parts = key = on = types = ""
		}
		FNR == 1 { flush() }
		/^[ \t]*$/ { flush(); next }
		/^#/ || /^[ \t]/ { next }
		{ name = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
		name == "types:" { types = value }
		name == "uris:" { uris = value }
		name == "suites:" { suites = value }
		name == "components:" { parts = value }
		name == "signed-by:" && value ~ /^\// { key = value }
		name == "enabled:" { on = tolower(value) }
		END { flush() }' "${files[@]}"
	files=(/etc/apt/sources.list.d/*.list)
	[ ! -f /etc/apt/sources.list ] || files+=(/etc/apt/sources.list)
	[ ${#files[@]} = 0 ] || sed -n \
		-e 's/^deb[ \t]*\[\([^]]*\)\][ \t]*\([^ \t]*\)[ \t]*\([^ \t]*\)[ \t]*\([^#]*\).*/\1|\2|\3|\4/p' \
		-e 't' -e 's/^deb[ \t]*\([^ \t[]*\)[ \t]*\([^ \t]*\)[ \t]*\([^#]*\).*/|\1|\2|\3/p' \
		"${files[@]}"
}

# apt_line SUITE: its line for apt, at the mirror of the distribution itself
apt_line()
{
	local options uri suites parts
	while IFS='|' read -r options uri suites parts; do
		case " $suites " in
		*" $codename "*) ;;
		*) continue ;;
		esac
		case " $parts " in
		*" main "*) ;;
		*) continue ;;
		esac
		echo "deb ${options:+[$options] }${uri%% *} $1 main"
		return
	done < <(apt_sources)
	return 1
}

# apt_in FOLDER ARGUMENT...: apt-get with a configuration of its own. FOLDER has its
# sources.list, and gets its lists and caches.
apt_in()
{
	local folder=$1
	shift
	mkdir -p "$folder"/{lists,archives}/partial
	apt-get -qq -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder" \
		-o Acquire::Languages=none -o Acquire::Retries=2 -o APT::Sandbox::User= \
		-o APT::Update::Error-Mode=any "$@"
}

# in_place_of_x86 FOLDER COMMAND...: run a command that sees FOLDER as build/x86. make
# compares command lines, which have paths in them, so objects copied from build/x86 are
# up to date only there. Where nothing may be mounted, they are compiled again.
in_place_of_x86()
{
	local folder=$1
	shift
	if unshare -m mount --bind "$folder" "$build/x86" 2>/dev/null; then
		unshare -m sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$folder" "$build/x86" "$@"
	else
		for o; do
			shift
			set -- "$@" "${o/#O=*/O=$folder}"
		done
		"$@"
	fi
}

# progress KIND: of the output of make a line for every 200 steps, and errors and
# warnings as they are
progress()
{
	awk -v kind="$1" '
		/^  [A-Z0-9]+ +(\[M\] )?[^ ]/ { if (++n % 200 == 0) { print "    build/" kind ": " n " steps, " $NF; fflush() } next }
		/^make(\[[0-9]+\])?: (Entering|Leaving)/ || /^  GEN / || /^Kernel: / || /^$/ { next }
		/warning:|error:|Error |undefined reference|ERROR:/ { print; fflush() }'
}

# kconfig OUT ARCH OPTION...: a configuration in OUT with these options, and all
# others off. An option that it does not take is an error: code that silently was
# not built was not checked.
kconfig()
{
	local out=$1 arch=$2 o
	shift 2
	mkdir -p "$out"
	printf '%s\n' "$@" >"$out/series.config"
	kmake_in "$out" "$arch" KCONFIG_ALLCONFIG="$out/series.config" allnoconfig >"$out/config.log" 2>&1 ||
		{ tail "$out/config.log"; return 1; }
	for o; do
		case $o in
		*=n) ! grep -q "^${o%=n}=" "$out/.config" ;;
		*) grep -qxF "$o" "$out/.config" ;;
		esac || { echo "${out##*/}: the configuration does not take $o"; return 1; }
	done
}

# kmake_in OUT ARCH ARGUMENT...: make of the series' tree
kmake_in()
{
	local out=$1 arch=$2 cross=
	shift 2
	[ "$arch" != arm64 ] || cross=aarch64-linux-gnu-
	make -C "$(tree_of linux)" O="$out" ARCH="$arch" CROSS_COMPILE=$cross -j"$jobs" "$@"
}
