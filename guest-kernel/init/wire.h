/* Reading and writing the payloads of the agent protocol. No I/O here. */
#ifndef VMM_WIRE_H
#define VMM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What went wrong, in the form that an error reply carries. */
struct failure {
	uint32_t code; /* ERR_*, 0: nothing failed */
	int32_t err;   /* errno, 0: none */
	char text[248];
};

/* Fills f and returns -1. */
int fail(struct failure *f, uint32_t code, int err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Memory that is freed as a whole. */
struct arena {
	struct arena_chunk *chunks;
};
void *arena_alloc(struct arena *a, size_t size); /* zeroed; NULL: no memory */
void arena_free(struct arena *a);

/* A cursor over tag-length-value fields: u16 tag, u16 zero, u32 length, value. */
struct reader {
	const uint8_t *at;
	uint32_t left;
};
struct field {
	uint16_t tag;
	uint32_t length;
	const uint8_t *value;
};
#define FIELD_HEADER 8

struct reader reader_of(const void *bytes, uint32_t length);
struct reader field_reader(const struct field *f);
/* 1: a field, 0: the end, -1: malformed. */
int next_field(struct reader *r, struct field *f);
/* How many fields have this tag; stops at the first malformed one. */
uint32_t count_fields(struct reader r, uint16_t tag);

uint16_t get_u16(const uint8_t *p);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);

/* Each returns false when the field has another size. */
bool field_u32(const struct field *f, uint32_t *value);
bool field_u64(const struct field *f, uint64_t *value);
/* A NUL-terminated copy; NULL: a NUL inside, longer than max, or no memory. */
char *field_string(struct arena *a, const struct field *f, uint32_t max);

/* A bounded output buffer; overflow is remembered and nothing is written past the end. */
struct writer {
	uint8_t *bytes;
	uint32_t length, capacity;
	bool overflow;
};
void put_bytes(struct writer *w, uint16_t tag, const void *value, uint32_t length);
void put_u32(struct writer *w, uint16_t tag, uint32_t value);
void put_u64(struct writer *w, uint16_t tag, uint64_t value);
void put_string(struct writer *w, uint16_t tag, const char *value);
void store_u16(uint8_t *p, uint16_t value);
void store_u32(uint8_t *p, uint32_t value);
void store_u64(uint8_t *p, uint64_t value);

#endif
