#include "wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"

int fail(struct failure *f, uint32_t code, int err, const char *format, ...)
{
	va_list arguments;

	f->code = code;
	f->err = err;
	va_start(arguments, format);
	vsnprintf(f->text, sizeof f->text, format, arguments);
	va_end(arguments);
	return -1;
}

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	/* max_align_t would cost 16 bytes a chunk for nothing: 8 is enough for all that is stored */
	uint64_t bytes[];
};

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *chunk = a->chunks;
	void *result;

	size = (size + 7) & ~(size_t)7;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > 16384 ? size : 16384;

		chunk = calloc(1, sizeof *chunk + room);
		if (!chunk)
			return NULL;
		chunk->size = room;
		chunk->next = a->chunks;
		a->chunks = chunk;
	}
	result = (uint8_t *)chunk->bytes + chunk->used;
	chunk->used += size;
	return result;
}

void arena_free(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
}

uint16_t get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t get_u32(const uint8_t *p)
{
	return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

uint64_t get_u64(const uint8_t *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

void store_u16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

void store_u32(uint8_t *p, uint32_t value)
{
	store_u16(p, (uint16_t)value);
	store_u16(p + 2, (uint16_t)(value >> 16));
}

void store_u64(uint8_t *p, uint64_t value)
{
	store_u32(p, (uint32_t)value);
	store_u32(p + 4, (uint32_t)(value >> 32));
}

struct reader reader_of(const void *bytes, uint32_t length)
{
	return (struct reader){ bytes, length };
}

struct reader field_reader(const struct field *f)
{
	return reader_of(f->value, f->length);
}

int next_field(struct reader *r, struct field *f)
{
	if (r->left == 0)
		return 0;
	if (r->left < FIELD_HEADER)
		return -1;
	f->tag = get_u16(r->at);
	f->length = get_u32(r->at + 4);
	if (get_u16(r->at + 2) != 0 || f->length > r->left - FIELD_HEADER)
		return -1;
	f->value = r->at + FIELD_HEADER;
	r->at += FIELD_HEADER + f->length;
	r->left -= FIELD_HEADER + f->length;
	return 1;
}

uint32_t count_fields(struct reader r, uint16_t tag)
{
	struct field f;
	uint32_t count = 0;

	while (next_field(&r, &f) == 1)
		count += f.tag == tag;
	return count;
}

bool field_u32(const struct field *f, uint32_t *value)
{
	if (f->length != 4)
		return false;
	*value = get_u32(f->value);
	return true;
}

bool field_u64(const struct field *f, uint64_t *value)
{
	if (f->length != 8)
		return false;
	*value = get_u64(f->value);
	return true;
}

char *field_string(struct arena *a, const struct field *f, uint32_t max)
{
	char *copy;

	if (f->length > max || memchr(f->value, 0, f->length))
		return NULL;
	copy = arena_alloc(a, (size_t)f->length + 1);
	if (copy)
		memcpy(copy, f->value, f->length);
	return copy;
}

void put_bytes(struct writer *w, uint16_t tag, const void *value, uint32_t length)
{
	uint8_t *p;

	if (w->overflow || w->capacity - w->length < FIELD_HEADER ||
	    w->capacity - w->length - FIELD_HEADER < length) {
		w->overflow = true;
		return;
	}
	p = w->bytes + w->length;
	store_u16(p, tag);
	store_u16(p + 2, 0);
	store_u32(p + 4, length);
	memcpy(p + FIELD_HEADER, value, length);
	w->length += FIELD_HEADER + length;
}

void put_u32(struct writer *w, uint16_t tag, uint32_t value)
{
	uint8_t bytes[4];

	store_u32(bytes, value);
	put_bytes(w, tag, bytes, sizeof bytes);
}

void put_u64(struct writer *w, uint16_t tag, uint64_t value)
{
	uint8_t bytes[8];

	store_u64(bytes, value);
	put_bytes(w, tag, bytes, sizeof bytes);
}

void put_string(struct writer *w, uint16_t tag, const char *value)
{
	put_bytes(w, tag, value, (uint32_t)strlen(value));
}
