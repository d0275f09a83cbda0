#include "fields.h"

#include <errno.h>

#include "protocol.h"

#define MAX_ITEMS 65536 /* arguments, variables or paths of one kind */
#define MAX_MOUNTS 512

int invalid(struct failure *f, const struct field *field, const char *what)
{
	return fail(f, ERR_INVALID, 0, "field 0x%04x of %u bytes: %s", field->tag, field->length, what);
}

int unknown(struct failure *f, const struct field *field)
{
	if (field->tag >= TAG_OPTIONAL)
		return 0;
	return fail(f, ERR_UNSUPPORTED, 0, "field 0x%04x is not known in this place", field->tag);
}

int take_string(struct arena *a, const struct field *field, uint32_t max, char **out,
		       struct failure *f)
{
	*out = field_string(a, field, max);
	return *out ? 0 : invalid(f, field, "not a string, or too long");
}

int take_u32(const struct field *field, uint32_t *out, struct failure *f)
{
	return field_u32(field, out) ? 0 : invalid(f, field, "must have 4 bytes");
}

int take_u64(const struct field *field, uint64_t *out, struct failure *f)
{
	return field_u64(field, out) ? 0 : invalid(f, field, "must have 8 bytes");
}

int take_flag(const struct field *field, bool *out, struct failure *f)
{
	*out = true;
	return field->length == 0 ? 0 : invalid(f, field, "must be empty");
}

/* Appends to a list that is allocated at its first use, sized by a count of the whole payload. */
int take_item(struct arena *a, struct reader all, const struct field *field, uint32_t max,
		     struct strings *list, struct failure *f)
{
	if (!list->items) {
		uint32_t count = count_fields(all, field->tag);

		if (count > MAX_ITEMS)
			return fail(f, ERR_LIMIT, 0, "%u fields 0x%04x, at most %d", count, field->tag,
				    MAX_ITEMS);
		list->items = arena_alloc(a, (count + 1) * sizeof *list->items);
		if (!list->items)
			return fail(f, ERR_SYSTEM, ENOMEM, "no memory for the request");
	}
	if (take_string(a, field, max, &list->items[list->count], f))
		return -1;
	list->count++;
	return 0;
}

/* One more element of an array that is sized by a count of the whole payload. */
void *take_element(struct arena *a, struct reader all, const struct field *field, void **array,
			  uint32_t *count, size_t size, struct failure *f)
{
	if (!*array) {
		uint32_t total = count_fields(all, field->tag);

		if (total > MAX_MOUNTS) {
			fail(f, ERR_LIMIT, 0, "%u fields 0x%04x, at most %d", total, field->tag, MAX_MOUNTS);
			return NULL;
		}
		*array = arena_alloc(a, total * size);
		if (!*array) {
			fail(f, ERR_SYSTEM, ENOMEM, "no memory for the request");
			return NULL;
		}
	}
	return (char *)*array + (*count)++ * size;
}
