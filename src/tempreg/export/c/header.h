#ifndef @GUARD@
#define @GUARD@

#include <stddef.h>

#define net_CHANNELS @CHANNELS@
#define net_HEIGHT @HEIGHT@
#define net_WIDTH @WIDTH@
#define net_CLASSES @CLASSES@
#define net_STEPS @STEPS@ /* timesteps that the network was trained with */
#define net_NAMES @NAMES@

#ifdef __cplusplus
extern "C" {
#endif

/* What a sample has left in the network. Memory of net_state_size() bytes, aligned as malloc does,
 * is a state once net_reset has seen it. Nothing else is kept: as many states as you like. */
typedef struct net_state net_state;

size_t net_state_size(void);

/* Before each sample. */
void net_reset(net_state *state);

/* One timestep: frames [CHANNELS][HEIGHT][WIDTH], before any scaling: pixels 0 ... 255, or events
 * counted; logits [CLASSES] of this timestep. Returns 0; -1, and nothing changed, where a number of
 * `frames` is not finite (int8: not within -32767 ... 32767; it is rounded to a whole one). */
int net_step(net_state *state, const float *frames, float *logits);

/* Whether the answer so far is final: net_STEPS timesteps were shown, or the confidence (softmax of
 * the mean logits) has reached its threshold. `label` is the class so far. Before the first timestep
 * it is 0, and nothing is written. */
int net_decide(const net_state *state, int *label, float *confidence);

#ifdef __cplusplus
}
#endif

#endif
