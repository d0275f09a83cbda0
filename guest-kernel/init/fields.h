/* Values out of a request's fields, or the failure that says which field is wrong. */
#ifndef VMM_FIELDS_H
#define VMM_FIELDS_H

#include "spec.h"

/* All but take_element return 0, or -1 with f filled. */
int invalid(struct failure *f, const struct field *field, const char *what);
/* A field that is not known in this place: 0 when it may be skipped. */
int unknown(struct failure *f, const struct field *field);
int take_string(struct arena *a, const struct field *field, uint32_t max, char **out, struct failure *f);
int take_u32(const struct field *field, uint32_t *out, struct failure *f);
int take_u64(const struct field *field, uint64_t *out, struct failure *f);
int take_flag(const struct field *field, bool *out, struct failure *f);
int take_item(struct arena *a, struct reader all, const struct field *field, uint32_t max, struct strings *list,
	      struct failure *f);
void *take_element(struct arena *a, struct reader all, const struct field *field, void **array, uint32_t *count,
		   size_t size, struct failure *f);

#endif
