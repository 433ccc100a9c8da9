/* LIF on a CPU. The equations are in lif_body.h, what is called from outside in lif_calls.h. */
#include "lif_types.h"

#include "lif_body.h"
#include "lif_steps.h"
#include "lif_strips.h"
#include "lif_calls.h"
