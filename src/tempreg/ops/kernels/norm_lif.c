/* Batch norm and LIF on a CPU, in one pass. The equations are in lif_body.h, what is called from
 * outside in lif_norm.h. */
#include "lif_types.h"

#include "lif_body.h"
#include "sum_body.h"
#include "norm_statistics.h"
#include "lif_norm.h"
