/* Convolutions of inputs that are mostly zeros: the result and the gradient of the weights, by
 * walking lists of the others.
 *
 *   result        y[n, k, o] = sum over c and taps of w[k, c, tap] x[n, c, i]
 *   of weights    gw[k, c, tap] = sum over n and inputs of g[n, k, o] x[n, c, i]
 *
 * with o = (i + padding - tap) / step where that is whole. Both take BLOCK output channels at a
 * time, side by side in memory, and keep what belongs to one input channel (up to nine taps' weights,
 * or the sums of their gradients) in registers while all non-zeros of that channel pass: each adds to
 * nine rows of the result, or nine rows of its gradient to the sums. */
#include "element.h"
#include "sparse_shape.h"
#include "sparse_lists.h"
#include "sparse_transpose.h"
#include "sparse_taps.h"
#include "sparse_passes.h"
