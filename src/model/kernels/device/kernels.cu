// All kernels as one module.
#include "cross_entropy.cu"
#include "dropout.cu"
#include "optimizer.cu"
#include "rms_norm.cu"
#include "rope.cu"
#include "rotation.cu"
#include "rows.cu"
#include "swiglu.cu"
