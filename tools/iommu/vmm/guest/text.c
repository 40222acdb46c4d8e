// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the report of the guest, and its parameters
 *
 * The guest without an operating system has no libc; these are the few functions
 * that stand in for it.
 */
#include "guest.h"

void put_text(const char *text)
{
	while (*text)
		machine_put(*text++);
}

void put_number(__u32 number)
{
	char digits[12];
	int i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = '0' + number % 10;
		number /= 10;
	} while (number);
	put_text(digits + i);
}

void put_hex(__u64 number)
{
	int shift = 60;

	while (shift && !(number >> shift & 15))
		shift -= 4;
	put_text("0x");
	for (; shift >= 0; shift -= 4)
		machine_put("0123456789abcdef"[number >> shift & 15]);
}

/* A line about device @device; -1: about the guest. */
void begin_line(int device)
{
	put_text("guest: ");
	if (device < 0)
		return;
	put_text("device ");
	put_number(device);
	put_text(": ");
}

void end_line(void)
{
	machine_put('\n');
}

/* Returns the text behind @name if @text begins with it. */
static const char *after(const char *text, const char *name)
{
	while (*name && *text == *name) {
		text++;
		name++;
	}
	return *name ? NULL : text;
}

/* The last occurrence of "name=N" on the command line counts. */
__u32 parameter(const char *name, __u32 otherwise)
{
	const char *text = machine_parameters(), *value;
	bool word = true;

	for (; *text; text++) {
		value = word ? after(text, name) : NULL;
		if (value && *value == '=') {
			otherwise = 0;
			while (*++value >= '0' && *value <= '9')
				otherwise = otherwise * 10 + *value - '0';
		}
		word = *text == ' ';
	}
	return otherwise;
}

void give_up(const char *text)
{
	begin_line(-1);
	put_text("error ");
	put_text(text);
	end_line();
	machine_end();
}
