/* Device nodes of a container: the usual ones, those that the host asks for, all of the machine's. */
#ifndef VMM_NODES_H
#define VMM_NODES_H

#include "spec.h"

int make_node(const char *path, unsigned type, unsigned major_number, unsigned minor_number, unsigned mode);
int make_nodes(struct failure *f);
int make_device(int root, const struct device_spec *d, struct failure *f);
/* A node below /dev for each device that /sys knows and that has none yet. */
int make_all_devices(int root, struct failure *f);

#endif
