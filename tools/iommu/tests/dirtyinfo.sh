#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What dirtyinfo prints, for IOMMUs of which there is only a sysfs made up here, or,
# with --live, for the mock devices and the edu device of this machine; that needs
# root. Run it on any machine without --live.
#
# usage: dirtyinfo.sh [--live] [DIRTYINFO]

live=
[ "$1" != --live ] || { live=1; shift; }
dirtyinfo=${1:-$(dirname "$0")/../dirtyinfo}
. "$(dirname "$0")/tap.sh"

# prints NAME STATUS ARGUMENTS PATTERN...: a line of the output for each pattern
prints()
{
	name=$1 want=$2 arguments=$3
	shift 3
	"$dirtyinfo" $arguments >$out.out 2>$out.err
	status=$?
	why=
	for pattern; do
		grep -q -e "$pattern" $out.out || why="no line '$pattern'"
	done
	[ $status -eq "$want" ] || why="status $status, not $want"
	result "$name" "$why"
}

# host COMMAND-LINE: a sysfs with one PCI device and no IOMMU
device=$out/sys/bus/pci/devices/0000:00:01.0
host()
{
	rm -rf $out
	mkdir -p $out/proc $device
	echo "$1" >$out/proc/cmdline
}

# behind IOMMU [FILE VALUE]...: put the device behind it
behind()
{
	iommu=$out/sys/class/iommu/$1
	mkdir -p "$iommu" $out/sys/kernel/iommu_groups/7
	ln -s ../../../../class/iommu/"$1" $device/iommu
	ln -s ../../../../kernel/iommu_groups/7 $device/iommu_group
	shift
	while [ $# -gt 0 ]; do
		mkdir -p "$(dirname "$iommu/$1")"
		echo "$2" >"$iommu/$1"
		shift 2
	done
}

# intel ECAP COMMAND-LINE
intel()
{
	host "$2"
	behind dmar3 intel-iommu/cap d2008c40660462 intel-iommu/ecap "$1"
}

# bits NAME PATTERN: of the line about dirty bits
bits()
{
	prints "$1" 1 "--sysroot $out 00:01.0" \
		'^0000:00:01.0: driver none' "^  dirty bits  $2"
}

# Bits 43 (SMTS), 45 (SLADS) and 48 (SMPWC).
sysroot_tests()
{
	intel 1280000f00f4a "quiet intel_iommu=on,sm_on"
	bits "VT-d, all bits, sm_on" 'yes$'
	prints "VT-d: IOMMU" 1 "--sysroot $out 00:01.0" 'IOMMU group 7' \
		'^  IOMMU       dmar3 (Intel VT-d), page sizes 4K 2M' \
		'^  iommufd     no: not opened'
	intel 1280000f00f4a quiet
	bits "VT-d, all bits, no option" 'unknown: .*sm_on'
	intel 1280000f00f4a "intel_iommu=sm_on intel_iommu=on,sm_off"
	bits "VT-d, all bits, last option sm_off" 'no: scalable mode is off, by intel_iommu=sm_off'
	intel 1200000f00f4a intel_iommu=sm_on
	bits "VT-d without SMTS" 'no: .*SMTS'
	intel 1080000f00f4a intel_iommu=sm_on
	bits "VT-d without SLADS" 'no: .*SLADS'
	intel 280000f00f4a intel_iommu=sm_on
	bits "VT-d without SMPWC" 'no: .*SMPWC'
	host ""
	behind dmar3
	bits "VT-d without registers in sysfs" 'unknown: sysfs has no register'

	# Bits 49 (HASup) and 52 (HDSup).
	host ""
	behind ivhd0 amd-iommu/features 12000000000000:0
	bits "AMD-Vi with HDSup" 'yes$'
	echo 2000000000000:0 >$out/sys/class/iommu/ivhd0/amd-iommu/features
	bits "AMD-Vi without HDSup" 'no: .*HDSup is 0, HASup 1'

	host ""
	behind smmu3.0x0000000009050000
	bits "SMMUv3" 'unknown: sysfs has no register'
	host ""
	behind smmu.0x0000000009050000
	bits "SMMUv2" 'unknown: sysfs has no register'
	host intel_iommu=off
	bits "no IOMMU" 'no: .*no IOMMU'

	host ""
	mkdir -p $out/sys/bus/pci/drivers/nvme
	ln -s ../../drivers/nvme $device/driver
	prints "driver" 1 "--sysroot $out 0000:00:01.0" \
		'^0000:00:01.0: driver nvme, no IOMMU group'
	prints "JSON" 1 "--json --sysroot $out 0000:00:01.0" '^      "driver": "nvme",$' \
		'^      "group": null,$' '^      "page_sizes": \[\],$' \
		'^      "dirty_bits": false,$' '^      "iommufd": false,$' \
		'^      "can_track": false$' '^  "all_can_track": false$'
	prints "no VFIO device" 1 "--sysroot $out"
	prints "no VFIO device in JSON" 1 "--json --sysroot $out" '^  "devices": \[\],$'

	class=$out/sys/class/vfio-dev
	mkdir -p $device/vfio-dev/vfio9 $class
	ln -s ../../bus/pci/devices/0000:00:01.0/vfio-dev/vfio9 $class/vfio9
	ln -s ../../../0000:00:01.0 $device/vfio-dev/vfio9/device
	prints "devices with a VFIO driver" 1 "--sysroot $out" '^0000:00:01.0: driver nvme'
}

# mock MODEL: the first mock device behind this model of the mock IOMMU
mock()
{
	for folder in /sys/bus/platform/devices/vfio-mock-*; do
		[ "$(cat "$folder/model")" != "$1" ] || { echo "${folder##*/}"; return; }
	done
}

# tracked STATUS NAME EDU: what the output has of each interface, where the IOMMU has
# dirty bits (status 0), or VT-d has none (1)
tracked()
{
	if [ "$1" = 0 ]; then
		prints "$2" 0 "$3" "^$edu: driver vfio-pci, " "$iommu" \
			'^  dirty bits  yes$' '^  iommufd     yes$' \
			'^  type1       yes$' '^  compat      yes$' \
			'^  device log  no: the driver vfio-pci'
	else
		prints "$2" 1 "$3" "^$edu: driver vfio-pci, " "$iommu" \
			'^  dirty bits  no: VT-d without scalable mode' \
			'^  iommufd     no: VT-d without scalable mode' \
			'^  type1       no: each mapped page' \
			'^  compat      no: each mapped page' \
			'^  device log  no: the driver vfio-pci'
	fi
}

edu_tests()
{
	edu=${1##*/} iommu='^  IOMMU       dmar0 (Intel VT-d), page sizes 4K 2M' without=0
	if [ ! -e "$1/iommu/intel-iommu" ]; then
		iommu='^  IOMMU       ivhd0 (AMD-Vi)'
	elif [ $(((0x$(cat "$1/iommu/intel-iommu/ecap") >> 45) & 1)) = 0 ]; then
		without=1 # no SLADS
	fi
	prints "edu without driver" 1 "$edu" "^$edu: driver none, IOMMU group" "$iommu" \
		'^  iommufd     no: the device has no driver' \
		'^  device log  no: the device has no driver'
	echo vfio-pci >"$1/driver_override"
	echo "$edu" >/sys/bus/pci/drivers_probe
	tracked $without "edu" "$edu"
	tracked $without "edu by its short address" "${edu#0000:}"
	group=$(readlink "$1/iommu_group")
	exec 3<>"/dev/vfio/${group##*/}"
	prints "edu in use" 1 "$edu" "^  type1       no: /dev/vfio/${group##*/} is in use" \
		'^  compat      no: .*is in use' '^  iommufd     no: .*in use'
	exec 3<&-
	tracked $without "edu, not in use any more" "$edu"
}

live_tests()
{
	prints "4k: every interface" 0 "$(mock 4k)" 'driver vfio-mock-dma, IOMMU group' \
		'^  IOMMU       iommu-mock.* (mock IOMMU), page sizes 4K$' \
		'^  dirty bits  yes$' '^  iommufd     yes$' '^  type1       yes$' \
		'^  compat      yes$' '^  device log  yes$'
	prints "2m: page sizes" 0 "$(mock 2m)" 'page sizes 4K 2M$' '^  type1       yes$'
	prints "nodirty: log only" 0 "$(mock nodirty)" '^  dirty bits  no: ' \
		'^  iommufd     no: this model' \
		'^  type1       no: each mapped page is reported dirty' \
		'^  compat      no: each mapped page' '^  device log  yes$'
	prints "emulated: not by iommufd" 0 "$(mock emulated)" '^  IOMMU       none$' \
		'^  iommufd     no: an emulated device' '^  type1       yes$' '^  compat      yes$'
	prints "JSON of two devices" 0 "--json $(mock 4k) $(mock nodirty)" \
		'^      "page_sizes": \[4096\],$' '^      "dirty_bits": false,$' \
		'^      "iommufd": true,$' '^      "iommufd": false,$' \
		'^      "type1_reason": "each mapped page' '^  "all_can_track": true$'
	prints "all devices" 0 "" '^  iommufd     yes$'
	why=
	listed=$(grep -c '^[^ ].*: driver ' $out.out)
	[ "$listed" -eq "$(ls /sys/class/vfio-dev | wc -l)" ] ||
		why="not as many as in /sys/class/vfio-dev"
	result "all devices are listed" "$why"

	mv /dev/iommu /dev/iommu.aside
	prints "no /dev/iommu" 0 "$(mock 4k)" '^  dirty bits  unknown' \
		'^  iommufd     no: no /dev/iommu: .*iommufd' '^  compat      no: no /dev/iommu' \
		'^  type1       yes$' '^  device log  yes$'
	mv /dev/vfio/vfio /dev/vfio/aside
	prints "no container" 1 "$(mock 4k)" \
		'^  type1       no: no /dev/vfio/vfio: .*vfio_iommu_type1' \
		'^  device log  no: the device cannot be opened'
	mv /dev/vfio/aside /dev/vfio/vfio
	mv /dev/iommu.aside /dev/iommu

	# The test machine has no users: make one.
	if [ ! -e /etc/passwd ]; then
		mkdir -p /etc
		echo 'other::65534:65534::/:/bin/sh' >/etc/passwd
		printf '#!/bin/sh\nexec su other -c "%s $*"\n' \
			"$(readlink -f "$dirtyinfo")" >$out.other
		chmod 755 $out.other
		root=$dirtyinfo dirtyinfo=$out.other
		prints "no permission" 1 "$(mock 4k)" \
			'^  iommufd     no: no permission to open /dev/' \
			'^  type1       no: no permission to open /dev/vfio/'
		dirtyinfo=$root
		rm -r /etc/passwd $out.other
	fi

	for folder in /sys/bus/pci/devices/*; do
		[ "$(cat "$folder/vendor")" = 0x1234 ] || continue
		[ "$(cat "$folder/device")" = 0x11e8 ] || continue
		edu_tests "$folder"
		break
	done
}

begin "$dirtyinfo"
if [ $live ]; then
	live_tests
else
	sysroot_tests
fi
finish
