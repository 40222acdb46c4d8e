#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Play QEMU for tests of vmm-migrate: QMP, traces, and the guest's serial port.
#
# usage: FAKE=MODE fake-qemu.sh OPTION...
#
# FAKE is what goes wrong, see the patterns below; anything else is a good QEMU.

serial=
incoming=
stays=
case $1 in
--version)
	case $FAKE in
	no-version) echo "something else" ;;
	hangs) read -r line ;;
	old) echo "QEMU emulator version 7.2.19 (fake)" ;;
	8.2) echo "QEMU emulator version 8.2.0 (fake)" ;;
	*) echo "QEMU emulator version 10.0.2 (fake)" ;;
	esac
	exit 0
	;;
esac
for argument; do
	case $argument in
	file,id=serial,path=*) serial=${argument#*path=} ;;
	*" moves=0 "*) stays=1 ;;
	fd:*) incoming=/proc/self/fd/${argument#fd:} ;;
	esac
done

guest()
{
	echo "guest: $*" >"$serial"
}

# verdict WHEN: of one device
verdict()
{
	word=same differ=0
	case $FAKE in
	different) word=different differ=7 ;;
	contradicts) differ=7 ;;
	idle) writes=0 ;;
	esac
	guest "$word $1: ${writes:-1234} writes, 900 of 1000 units written," \
		"$differ differ on $((differ / 2)) pages, 0 hold older data"
}

# The guest after its move
moved()
{
	[ "$FAKE" != mute ] || return
	[ "$FAKE" != gives-up ] || { guest "error no device"; return; }
	[ "$FAKE" != faults ] || faults=3
	guest "moved 1 writes 1234 faults ${faults:-0}"
	[ "$FAKE" != unclear ] || { guest "same after-move: well"; return; }
	verdict after-move
	verdict at-home
	guest "running 1000 units of 64 bytes at 0x2000000"
	guest "end"
}

# event NAME [MEMBERS]
event()
{
	echo "{\"timestamp\": {\"seconds\": 1}, \"event\": \"$1\", \"data\": {${2:-}}}"
}

# One round: traces on stderr, then the event
round()
{
	echo "migration_bitmap_sync_start " >&2
	case $FAKE in
	untracked) event MIGRATION_PASS "\"pass\": $1"; return ;;
	log | 8.2)
		echo "vfio_device_dirty_tracking_start nr_ranges 1 32:[0x0 - 0x7ffffff]," \
			"64:[0x0 - 0x0], pci64:[0x0 - 0x0]" >&2
		;;
	container) ;;
	*)
		echo "iommufd_backend_get_dirty_bitmap  iommufd=9 hwpt=3 iova=0x100000" \
			"size=0x100000 page_size=0x1000 (${failed:-0})" >&2
		;;
	esac
	echo "vfio_get_dirty_bitmap iova=0x100000 size= 0x100000 bitmap_size=0x20" \
		"start=0x100000 dirty_pages=$((100 / $1))" >&2
	echo "ram_save_page pc.ram: offset: 0x101000 host: 0x7f0000000000" >&2
	event MIGRATION_PASS "\"pass\": $1"
}

# migrate COMMAND
migrate()
{
	event MIGRATION '"status": "setup"'
	event MIGRATION '"status": "active"'
	round 1
	round 2
	case $FAKE in
	failed) status=failed; event MIGRATION '"status": "failed"'; return ;;
	source-dies) echo "qemu: assertion failed" >&2; exit 1 ;;
	endless) return ;;
	esac
	round 3
	case $FAKE in
	killed | cancelled) return ;;
	esac
	echo data | sh -c "$1"
	status=completed
	event STOP
	event MIGRATION '"status": "completed"'
}

# The destination, beside its QMP
receive()
{
	if ! read -r line <"$incoming"; then
		echo "qemu: load of migration failed: Input/output error" >&2
		kill -TERM $$
	elif [ "$FAKE" != never-starts ]; then
		event RESUME
		moved
	fi
}

trap 'exit 1' TERM
[ "$FAKE" != query-fails ] || failed=-22
status=none
case $FAKE in
dies) echo "qemu: -device vfio-pci: no such host device" >&2; exit 1 ;;
no-vfio) echo "qemu: -device vfio-pci: dirty tracking is not supported" >&2; exit 1 ;;
silent) read -r line; read -r line; exit 0 ;;
esac
echo '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}}, "capabilities": []}}'
echo "no JSON at all"
if [ "$incoming" ]; then
	[ "$FAKE" != destination-dies ] || { echo "qemu: no memory" >&2; exit 1; }
	receive &
elif [ "$FAKE" != asleep ]; then
	guest "up 1"
	guest "running 1000 units of 64 bytes at 0x2000000"
	[ ! "$stays" ] || verdict at-home
fi

while read -r line; do
	case $line in
	*'"execute":"migrate"'*)
		case $FAKE in
		refuses) echo '{"error": {"class": "GenericError", "desc": "bad URI"}}'; continue ;;
		unsupported)
			echo '{"error": {"class": "GenericError",' \
				'"desc": "VFIO migration is not supported in kernel"}}'
			continue
			;;
		esac
		echo '{"return": {}}'
		uri=${line#*exec:}
		migrate "${uri%%\"*}"
		continue
		;;
	*'"execute":"migrate_cancel"'*)
		echo '{"return": {}}'
		event MIGRATION '"status": "cancelled"'
		FAKE=good
		continue
		;;
	*'"execute":"query-migrate"'*)
		[ "$FAKE" != deaf ] || continue
		echo "{\"return\": {\"status\": \"$status\", \"total-time\": 1500," \
			"\"downtime\": 20, \"error-desc\": \"no route\"," \
			"\"ram\": {\"remaining\": 4096, \"transferred\": 8192," \
			"\"dirty-pages-rate\": 5}}}"
		continue
		;;
	*'"execute":"quit"'*)
		echo '{"return": {}}'
		exit 0
		;;
	esac
	echo '{"return": {}}'
done
