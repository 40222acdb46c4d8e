/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry from the boot loader, in 32 bit protected mode without paging. Multiboot
 * has the header in the first 8 KiB; its flags request nothing.
 */
#define MAGIC	0x1badb002
#define FLAGS	0

	.section .multiboot, "a"
	.balign	4
	.long	MAGIC
	.long	FLAGS
	.long	-(MAGIC + FLAGS)

	.text
	.globl	_start
_start:
	cli
	movl	$stack_top, %esp
	/* The 16 byte alignment that the compiler expects, before the call */
	subl	$8, %esp
	pushl	%ebx
	pushl	%eax
	call	bare_main
1:	hlt
	jmp	1b

	.bss
	.balign	16
	.space	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
