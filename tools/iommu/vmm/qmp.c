// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: QMP
 *
 * One JSON object a line each way, over QEMU's stdin and stdout. A command waits
 * for its reply; events that arrive in between are stored in struct vm.
 */
#include <string.h>
#include <unistd.h>
#include "vmm.h"

static void event(struct vm *vm, const char *name, const json_t *data)
{
	const char *status;

	if (!strcmp(name, "MIGRATION")) {
		status = json_string_value(json_object_get(data, "status"));
		snprintf(vm->migration, sizeof(vm->migration), "%s",
			 status ?: "");
	} else if (!strcmp(name, "MIGRATION_PASS")) {
		vm->passes = qmp_number(data, "pass");
	} else if (!strcmp(name, "STOP")) {
		vm->stopped = true;
	} else if (!strcmp(name, "RESUME")) {
		vm->stopped = false;
	}
}

/* Lines that are no QMP are ignored: a wrapper around QEMU may print some. */
void qmp_line(struct driver *d, struct vm *vm, const char *line, size_t length)
{
	json_t *object = json_loadb(line, length, 0, NULL);
	const char *name = json_string_value(json_object_get(object, "event"));

	(void)d;
	if (name) {
		event(vm, name, json_object_get(object, "data"));
	} else if (json_object_get(object, "QMP")) {
		vm->greeted = true;
	} else if (json_object_get(object, "return") ||
		   json_object_get(object, "error")) {
		json_decref(vm->reply);
		vm->reply = json_incref(object);
	}
	json_decref(object);
}

/* A QEMU that has died takes no command: pump() then finds its end. */
static void send_command(struct vm *vm, const char *command, json_t *arguments)
{
	json_t *object = json_pack("{ss}", "execute", command);
	char *text;

	if (arguments)
		json_object_set_new(object, "arguments", arguments);
	text = json_dumps(object, JSON_COMPACT);
	if (vm->qmp.log)
		fprintf(vm->qmp.log, "> %s\n", text);
	json_decref(vm->reply);
	vm->reply = NULL;
	dprintf(vm->qmp_in, "%s\n", text);
	free(text);
	json_decref(object);
}

/**
 * qmp_try() - execute a command, which may fail
 * @d: driver
 * @vm: QEMU
 * @command: name
 * @arguments: object, consumed; or NULL
 * @error: QEMU's message if the command failed, else NULL; valid until the
 *	next command
 *
 * vm->reply is the reply in both cases.
 *
 * Return: 0, or a status if there was no reply.
 */
int qmp_try(struct driver *d, struct vm *vm, const char *command,
	    json_t *arguments, const char **error)
{
	__u64 deadline = step_deadline(d);
	char purpose[96];
	json_t *object;
	int rc = 0;

	snprintf(purpose, sizeof(purpose), "reply of the %s to %s", vm->name,
		 command);
	send_command(vm, command, arguments);
	while (!rc && !vm->reply && !process_ended(vm))
		rc = pump(d, deadline, purpose);
	if (rc)
		return rc;
	if (!vm->reply)
		return fail(EXIT_WRONG, "the QEMU of the %s ended before its reply to %s: %s",
			    vm->name, command, vm->message);
	object = json_object_get(vm->reply, "error");
	*error = json_string_value(json_object_get(object, "desc"));
	if (object && !*error)
		*error = "an error without a description";
	return 0;
}

/**
 * qmp() - execute a command, which must not fail
 * @d: driver
 * @vm: QEMU
 * @command: name
 * @arguments: object, consumed; or NULL
 *
 * Return: 0 with the reply in vm->reply, or a status: EXIT_NOT_OFFERED if QEMU
 * names something that is not supported, EXIT_WRONG otherwise.
 */
int qmp(struct driver *d, struct vm *vm, const char *command,
	json_t *arguments)
{
	const char *error;
	int rc = qmp_try(d, vm, command, arguments, &error);

	if (rc || !error)
		return rc;
	return fail(strstr(error, "not support") ? EXIT_NOT_OFFERED : EXIT_WRONG,
		    "%s: the %s refuses it: %s", command, vm->name, error);
}

/* A number at a path of names separated by dots; 0 if there is none. */
__u64 qmp_number(const json_t *object, const char *path)
{
	char name[32];
	size_t n;

	while (object && *path) {
		n = strcspn(path, ".");
		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		object = json_object_get(object, name);
		path += n + (path[n] == '.');
	}
	return json_number_value(object);
}

/* Wait until QMP is ready, which it is when all devices are open. */
int qmp_greeting(struct driver *d, struct vm *vm)
{
	__u64 deadline = step_deadline(d);
	char purpose[64];
	int rc = 0;

	snprintf(purpose, sizeof(purpose), "QMP greeting of the %s", vm->name);
	while (!rc && !vm->greeted)
		rc = pump(d, deadline, purpose);
	if (!rc)
		rc = qmp(d, vm, "qmp_capabilities", NULL);
	vm->ready = !rc;
	return rc;
}
