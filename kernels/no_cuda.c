/* no_cuda.c: stands for kernels/cuda/ where assay is built without it. */
#include "kernels/kernels.h"

int kernels_cuda(int ordinal, struct kernels *ret, struct error *err)
{
    (void)ret;
    return error_set(
        err, E_UNSUPPORTED,
        "cannot use the CUDA device %d: this assay was built without CUDA; install the "
        "CUDA toolkit and build with `meson setup -Dcuda=enabled`",
        ordinal);
}

size_t kernels_cuda_memory(int ordinal)
{
    (void)ordinal;
    return 0;
}
