#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# vmm-migrate without a virtual machine: a script plays QEMU, and does each thing
# that a QEMU or its guest may do wrong.
#
# usage: vmm.sh [VMM-MIGRATE]

vmm=${1:-$(dirname "$0")/../vmm-migrate}
fake=$(dirname "$0")/fake-qemu.sh
. "$(dirname "$0")/tap.sh"

# migrate MODE OPTION...: fills $out.out and $out.err, and sets status
migrate()
{
	FAKE=$1
	export FAKE
	shift
	"$vmm" --qemu "$fake" --guest "$0" --source none --destination none \
		--timeout 20 "$@" >$out.out 2>$out.err
	status=$?
}

# fails STATUS WORD MODE OPTION...: one line, with the word
fails()
{
	wanted=$1 word=$2
	shift 2
	migrate "$@"
	why=
	grep -q -e "^vmm-migrate: .*$word" $out.err ||
		why="the line does not contain '$word'"
	[ "$(wc -l <$out.err)" -eq 1 ] || why="stderr is not one line"
	[ $status -eq "$wanted" ] || why="status $status, not $wanted"
	result "QEMU that is $1: status $wanted, $word" "$why"
}

# works MODE OPTION...: WORD must be in the output
works()
{
	word=$1
	shift
	migrate "$@"
	why=
	grep -q -e "$word" $out.out || why="no '$word' in the output"
	[ ! -s $out.err ] || why="something on stderr"
	[ $status -eq 0 ] || why="status $status"
	result "QEMU that is $1${2:+, $2}: $word" "$why"
}

# has FILE PATTERN...: each pattern is in the file
has()
{
	file=$1 why=
	shift
	for pattern; do
		grep -q -e "$pattern" "$file" || why="no '$pattern' in ${file##*/}"
	done
	result "${file##*.} of a good migration" "$why"
}

begin "$vmm" "$fake"

works "memory: same" good --json $out.json --picture $out.svg
has $out.json '^  "result": "same",$' '^  "nr_rounds": 3,$' '^  "reported": 183,$' \
	'^  "device_writes": 2468,$' '^  "total_ms": 1500,$' '^  "downtime_ms": 20,$' \
	'"round": 2, "queries": 1, "reported": 50'
has $out.svg '^<svg' 'QEMU 10.0.2 migrates over iommufd' '</svg>$'
rm -f $out.json $out.svg
works "move 4: " good --moves 4
works "cancelled in round 3" cancelled --cancel
works "source killed in round 3" killed --kill-source
works "memory: not compared" killed --kill-source
works "memory: same" 8.2 --interface type1 --tracker device
works "memory: same" log --tracker device
works "memory: same" container --interface type1
works "stayed: 1234 writes" old --interface type1 --moves 0
works "memory: same" good --moves 0 --json $out.json

fails 2 "cannot be executed" good --qemu /nonexistent/qemu
fails 2 "it is no QEMU" no-version
fails 2 "no output for --version" hangs --timeout 1
fails 2 "QEMU 7.2.19 is too old" old
fails 2 "needs 9.1" 8.2 --interface type1
fails 2 "needs 9.1" 8.2 --tracker device
fails 2 "needs 9.0" 8.2 --moves 0
fails 2 "no such host device" dies
fails 4 "not supported" no-vfio
fails 1 "no QMP greeting" silent --timeout 1
fails 1 "report 'running'" asleep --timeout 1
fails 1 "reply of the source to query-migrate" deaf --timeout 1
fails 2 "no memory" destination-dies
fails 1 "refuses it: bad URI" refuses
fails 4 "not supported in kernel" unsupported
fails 1 "failed, not completed: no route" failed
fails 1 "assertion failed" source-dies
fails 1 "no end of the migration" endless --timeout 1
fails 1 "no start of the guest" never-starts --timeout 1
fails 1 "report 'moved'" mute --timeout 1
fails 1 "gave up: no device" gives-up
fails 1 "gave up: unclear" unclear
fails 1 "14 units differ" different
fails 1 "14 units differ" contradicts
fails 1 "7 units differ" different --moves 0
fails 1 "report 'at-home'" asleep --moves 0 --timeout 1
fails 1 "wrote nothing" idle
fails 1 "3 faults" faults
fails 1 "show the device's log" log
fails 1 "show iommufd's bitmap" good --interface type1
fails 1 "show iommufd's bitmap" good --tracker device
fails 1 "show DIRTY_PAGES" container
fails 1 "show DIRTY_PAGES" query-fails
fails 1 "show no tracker" untracked

# A signal ends the program and both QEMUs: their pipes close.
FAKE=endless timeout -s TERM 2 "$vmm" --qemu "$fake" --guest "$0" --source none \
	--destination none >$out.out 2>$out.err
status=$?
why=
grep -q interrupted $out.err || why="not interrupted"
[ $status -eq 124 ] || why="status $status of timeout"
result "a signal interrupts it" "$why"

migrate different --json $out.json
why=
grep -q '"result": "different"' $out.json || why="it is not in the JSON"
result "a difference is in the JSON" "$why"
rm -f $out.json

finish
