// All kernels as one module.
#include "cross_entropy.cu"
#include "rms_norm.cu"
#include "rope.cu"
#include "rows.cu"
#include "swiglu.cu"
