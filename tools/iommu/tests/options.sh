#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Bad options of precopy, dirtyinfo and vmm-migrate: each prints one line on stderr,
# nothing on stdout, and gives status 2. Needs no mock device, and any kernel.
#
# usage: options.sh [PRECOPY [DIRTYINFO [VMM-MIGRATE]]]

precopy=${1:-$(dirname "$0")/../precopy}
dirtyinfo=${2:-$(dirname "$precopy")/dirtyinfo}
vmm=${3:-$(dirname "$precopy")/vmm-migrate}
. "$(dirname "$0")/tap.sh"

# refused WORD OPTION...: the line must contain the word
refused()
{
	word=$1
	shift
	"$program" "$@" >$out.out 2>$out.err
	status=$?
	why=
	grep -q -e "$word" $out.err || why="the line does not contain '$word'"
	[ "$(wc -l <$out.err)" -eq 1 ] || why="stderr is not one line"
	[ ! -s $out.out ] || why="something on stdout"
	[ $status -eq 2 ] || why="status $status"
	result "${program##*/} refuses: $*" "$why"
}

# prints_help: on stdout, with the exit statuses
prints_help()
{
	"$program" --help >$out.out 2>$out.err
	status=$?
	why=
	grep -q 'Exit status' $out.out || why="the exit statuses are not in it"
	[ ! -s $out.err ] || why="something on stderr"
	[ $status -eq 0 ] || why="status $status"
	result "${program##*/} --help" "$why"
}

begin "$precopy" "$dirtyinfo" "$vmm"

program=$precopy
refused nonsense --nonsense
refused x -x
refused --memory --memory
refused 3x --memory 3x
refused 1K --memory 1K
refused multiples --memory 3000000
refused 2T --memory 2T
refused 18446744073709551616 --memory 18446744073709551616
refused 16777216T --memory 16777216T
refused "''" --memory ''
refused -1M --memory -1M
refused 1.5G --memory 1.5G
refused stone --backing stone
refused vfio --backend vfio
refused none --tracker none
refused 16k --model 16k
refused exclude --model 4k --device vfio-mock-dma.0
refused no-such-device --device no-such-device
refused ../../x --device ../../x
refused multiples --iova 4095
refused multiples --hole 4K
refused --slots --slots 0
refused --slots --slots 65
refused --slots --memory 4M --slots 3
refused 3000 --page 3000
refused 256 --page 256
refused multiples --memory 2M --page 64K
refused 1e3 --rate 1e3
refused 4 --stride 4
refused 8K --stride 8K
refused 24 --stride 24
refused --hot --memory 64M --hot 65M
refused --hot --hot 100
refused --hot-percent --hot 0
refused 101 --hot-percent 101
refused --seed --seed one
refused --warmup --warmup 60001
refused --downtime --downtime fast
refused --bandwidth --bandwidth -5
refused --max-rounds --max-rounds 0
refused --max-rounds --max-rounds 1001
refused file --picture -
refused argument left over
refused ambiguous --s 3
refused list --list=3

prints_help

program=$dirtyinfo
refused nonsense --nonsense
refused x -x
refused json --json=3
refused --sysroot --sysroot
refused "''" --sysroot ''
refused no-such-device no-such-device
refused no-such-device --json no-such-device
refused 00:00.9 00:00.9
refused ../../x ../../x
refused "''" ''
refused "'.'" .
prints_help

program=$vmm
none="--source none --destination none"
refused nonsense --nonsense
refused x -x
refused needed
refused needed --source none
refused needed --source /sys/class --destination /sys/class
refused needed $none --append text
refused no-such-device --source no-such-device --destination none --guest "$0"
refused no-such-device --source none --destination no-such-device --guest "$0"
refused 00:1f.9 --source 00:1f.9 --destination none --guest "$0"
refused ../../x --source ../../x --destination none --guest "$0"
refused "''" --source /sys/class, --destination none --guest "$0"
refused "has 2 devices" --source /sys/class,/sys/bus --destination none --guest "$0"
refused "at most 4" --source /sys,/sys,/sys,/sys,/sys --destination none --guest "$0"
refused vfio --interface vfio
refused auto --tracker auto
refused stone --backing stone
refused 15M $none --memory 15M
refused 3G $none --memory 3G
refused multiples $none --memory 16388K
refused multiples $none --dimm 2049K
refused 1K $none --dimm 1K
refused "needs --guest" --source none --moves 0
refused "excludes migrations" --source none --guest "$0" --moves 0 --cancel
refused 1001 --moves 1001
refused --rounds --rounds 0
refused --rounds --max-rounds many
refused --bandwidth --bandwidth 0
refused --timeout --timeout 0
refused excludes $none --kill-source --moves 2
refused excludes $none --kill-source --refuse
refused file $none --picture -
refused /nonexistent $none --guest /nonexistent
refused /nonexistent $none --guest "$0" --initrd /nonexistent
refused /nonexistent $none --log /nonexistent
refused argument left over
refused argument $none over -- -S
refused cancel --cancel=3
prints_help

finish
