/* on_device.h: the checks' way to a table with memory of its own. */
#ifndef ASSAY_TESTS_KERNELS_ON_DEVICE_H
#define ASSAY_TESTS_KERNELS_ON_DEVICE_H

#include "kernels/kernels.h"

/* The same operations on host memory; `inner` is closed with it. */
struct kernels on_device(const struct kernels *inner);

#endif
