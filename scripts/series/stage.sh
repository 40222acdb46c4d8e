# SPDX-License-Identifier: GPL-2.0-only
#
# What the series changes in a kernel tree, prepared outside of the tree.
# scripts/apply and scripts/install-tree source this file after lib.sh.
#
# They set
#   kind   linux: the series; peer: the part of it that the peer kernel gets
#   base   the tree that the series is to go into; it is only read
#   stage  a folder, made anew by stage_series
# and define conflict MESSAGE, which is called for everything in the tree that
# the series does not fit. stage_series then fills
#   $stage        every file of the series with its new content
#   $stage.files  the names of these, and of the files that the series removes

# list FILE: its lines without comments
list() { sed '/^#/d; /^$/d' "$1"; }

# The files that the series holds in full, at their in-tree paths: those of the
# working tree, tracked or not.
series_own()
{
	git -C "$top" ls-files -co --exclude-standard -- \
		drivers include tools Documentation samples | sort -u |
	while read -r f; do
		[ -f "$top/$f" ] || continue
		case $kind in
		peer) grep -qxF -e "$f" -e "${f%/*}/" "$top/patches/peer/files" || continue ;;
		esac
		echo "$f"
	done
}

# Of these, the ones that take the place of a file of the base.
series_replaced() { [ "$kind" = peer ] || list "$top/patches/replaced"; }

series_removed() { [ "$kind" = peer ] || list "$top/patches/removed"; }

series_patches()
{
	case $kind in
	peer) sed "s,^,$top/patches/," "$top/patches/peer/series" ;;
	*) ls "$top"/patches/fixes/*.patch; ls "$top"/patches/iommu/*.patch; ls "$top"/patches/*.patch ;;
	esac
}

# patch_touches PATCH...
patch_touches() { sed -n 's,^--- a/\([^[:space:]]*\).*,\1,p' "$@"; }

# Every path that the series changes in a tree.
series_touches()
{
	{
		series_own
		series_removed
		patch_touches $(series_patches)
		[ "$kind" = peer ] || echo MAINTAINERS
	} | sort -u
}

# Without fuzz: a place that only resembles the one of the edit is a conflict.
patch_stage() { patch -d "$stage" -p1 -s -F0 --no-backup-if-mismatch -r - "$@" >"$stage.log" 2>&1; }

# stage_patch PATCH: as it is, or with the context that patches/context has for it
stage_patch()
{
	local name command
	if patch_stage --dry-run -i "$1"; then
		patch_stage -i "$1"
		return
	fi
	while read -r name command; do
		[ "$name" = "${1##*/}" ] || continue
		sed "$command" "$1" >"$stage.patch"
		patch_stage --dry-run -i "$stage.patch" || continue
		patch_stage -i "$stage.patch"
		return
	done < <(list "$top/patches/context")
	return 1
}

# All patches in one go, which takes a moment; if anything does not fit, none
stage_all_patches()
{
	local patches
	patches=$(series_patches)
	patch_touches $patches | sort -u >"$stage.edited"
	(cd "$base" && cpio -pdm --quiet "$stage") <"$stage.edited" 2>/dev/null &&
		cat $patches | patch_stage && cat "$stage.edited" >>"$stage.files" && return
	rm -rf "$stage"
	mkdir "$stage"
	return 1
}

# One by one, with the reason for each that does not fit
stage_patches()
{
	local p f missing
	for p in $(series_patches); do
		missing=
		for f in $(patch_touches "$p"); do
			[ ! -f "$stage/$f" ] || continue
			if [ ! -f "$base/$f" ]; then
				conflict "${p##*/}: the tree has no $f"
				missing=1
				continue
			fi
			mkdir -p "$stage/$(dirname "$f")"
			cp "$base/$f" "$stage/$f"
			echo "$f" >>"$stage.files"
		done
		[ -z "$missing" ] || continue
		stage_patch "$p" ||
			conflict "${p##*/}: its place was not found ($(tr '\n' ' ' <"$stage.log"))"
	done
}

stage_maintainers()
{
	[ "$kind" = linux ] || return 0
	python3 "$top/scripts/series/maintainers" "$base/MAINTAINERS" "$top/MAINTAINERS" \
		>"$stage/MAINTAINERS" 2>"$stage.log" || conflict "MAINTAINERS: $(tail -1 "$stage.log")"
	echo MAINTAINERS >>"$stage.files"
}

stage_own()
{
	local f
	series_own >"$stage.own"
	series_replaced >"$stage.replaced"
	while read -r f; do
		[ ! -e "$base/$f" ] || grep -qxF "$f" "$stage.replaced" ||
			conflict "the tree has $f already, which is not in patches/replaced"
	done <"$stage.own"
	while read -r f; do
		[ -f "$base/$f" ] || conflict "patches/replaced: the tree has no $f"
		grep -qxF "$f" "$stage.own" || conflict "patches/replaced: the series has no $f"
	done <"$stage.replaced"
	(cd "$top" && cpio -pdm --quiet "$stage" <"$stage.own")
	cat "$stage.own" >>"$stage.files"
}

stage_removed()
{
	local f
	for f in $(series_removed); do
		[ -f "$base/$f" ] || conflict "patches/removed: the tree has no $f"
		echo "$f" >>"$stage.files"
	done
}

stage_series()
{
	rm -rf "$stage" "$stage.files"
	mkdir -p "$stage"
	: >"$stage.files"
	stage_all_patches || stage_patches
	stage_maintainers
	stage_own
	stage_removed
}
