// The project's kernels, unchanged, in one translation unit, and the list from which the emulator knows them.
// A kernel that is missing from the list fails to load.
#include "cuda_cpu.h"

#include "../activation.cu"
#include "../batch_norm.cu"
#include "../clip.cu"
#include "../evaluate.cu"
#include "../input.cu"
#include "../optimizers.cu"
#include "../sgemm.cu"
#include "../sgemm_ladder/1_naive.cu"
#include "../sgemm_ladder/2_tiled.cu"
#include "../sgemm_ladder/3_register_tile.cu"
#include "../sgemm_ladder/4_vectorised.cu"
#include "../softmax_cross_entropy.cu"

#define PRODUCTS(tile)                            \
    CUDA_CPU_KERNEL(sgemm_nt_bias_##tile)         \
    CUDA_CPU_KERNEL(sgemm_nt_block_##tile)        \
    CUDA_CPU_KERNEL(sgemm_nt_statistics_##tile)   \
    CUDA_CPU_KERNEL(sgemm_nn_##tile)              \
    CUDA_CPU_KERNEL(sgemm_tn_##tile)
PRODUCTS(large)
PRODUCTS(medium)
PRODUCTS(small)
CUDA_CPU_KERNEL(sgemm_1_naive)
CUDA_CPU_KERNEL(sgemm_2_tiled)
CUDA_CPU_KERNEL(sgemm_3_register_tile)
CUDA_CPU_KERNEL(sgemm_4_vectorised)
CUDA_CPU_KERNEL(activation_backward)
CUDA_CPU_KERNEL(batch_norm_forward)
CUDA_CPU_KERNEL(batch_norm_evaluate)
CUDA_CPU_KERNEL(batch_norm_backward_sums)
CUDA_CPU_KERNEL(batch_norm_backward)
CUDA_CPU_KERNEL(softmax_cross_entropy)
CUDA_CPU_KERNEL(loss_total)
CUDA_CPU_KERNEL(argmax)
CUDA_CPU_KERNEL(sgd)
CUDA_CPU_KERNEL(adam)
CUDA_CPU_KERNEL(rmsprop)
CUDA_CPU_KERNEL(rprop)
CUDA_CPU_KERNEL(square_sum)
CUDA_CPU_KERNEL(clip_scale)
CUDA_CPU_KERNEL(input_u8)
CUDA_CPU_KERNEL(input_f32)
CUDA_CPU_KERNEL(augment_u8)
CUDA_CPU_KERNEL(augment_f32)
