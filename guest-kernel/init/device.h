/* Block devices by serial number, and what init mounts from them for the containers. */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "spec.h"

/* Path of a node of the block device with this serial; false: not there (yet). */
bool find_block_device(const char *serial, char *path, uint32_t size);

/*
 * Mounts a block device or share once, in init's own mount namespace, and gives the directory.
 * 0; -1 with f filled; ERR_DEVICE with errno ENOENT: the device is not there yet.
 */
int source_path(const struct mount_spec *m, bool read_only, const char **path, struct failure *f);
/*
 * A block device that a process of init's, in init's mount namespace, is to mount: init itself does not wait for a journal. `*s`: until the
 * process has ended nobody else is given it; NULL: there is nothing to wait for. Fails as source_path.
 */
struct source;
int source_begin(const struct mount_spec *m, struct source **s, struct failure *f);
/* The process's part. */
int source_finish(const struct mount_spec *m, struct failure *f);
/* The process has ended; not `done`: it is unmounted again, and forgotten. */
void source_settle(struct source *s, bool done);
/* An O_PATH descriptor of what is to be mounted, the subpath included. -1 with f filled. */
int source_open(const struct mount_spec *m, struct failure *f);
/* A share, before any container asks for it. */
int share_mount(const char *tag, struct failure *f);
/* Where it is mounted; it is, if need be. */
int share_path(const char *tag, const char **path, struct failure *f);
/* An export of a share has come, or is about to go: containers keep their own mounts of it. */
int export_change(const char *tag, const char *name, bool add, struct failure *f);
/* A scratch disk: ext4, grown to the device's size. */
int scratch_path(const char *serial, const char **path, struct failure *f);
/* A named directory that containers share; adds it, or removes it. */
int volume_add(const char *name, const struct mount_spec *m, struct failure *f);
int volume_remove(const char *name, struct failure *f);
/* Lets go of a mounted device or share. */
int source_remove(uint32_t kind, const char *name, struct failure *f);
void sources_unmount(void);

#endif
