# SPDX-License-Identifier: GPL-2.0-only
#
# Results in TAP, for the scripts here: . "$(dirname "$0")/tap.sh"
#
# $out.out and $out.err are for the output of a program.

count=0
failed=0
out=/tmp/${0##*/}.$$
trap 'rm -rf $out $out.out $out.err' EXIT

# begin PROGRAM...
begin()
{
	echo "TAP version 13"
	for program; do
		if ! [ -x "$program" ]; then
			echo "Bail out! no program $program"
			exit 1
		fi
	done
}

# result NAME WHY: failed if WHY is not empty
result()
{
	count=$((count + 1))
	if [ -z "$2" ]; then
		echo "ok $count $1"
	else
		failed=$((failed + 1))
		echo "not ok $count $1"
		echo "# $2"
		sed 's/^/# /' $out.out $out.err
	fi
}

# finish: the plan, and the exit status of the script
finish()
{
	echo "1..$count"
	echo "# $((count - failed)) passed, $failed failed, 0 skipped"
	[ $failed -eq 0 ]
}
