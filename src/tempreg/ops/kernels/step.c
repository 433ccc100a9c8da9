/* Neurons with a second state on a CPU: one body (step_body.h), an equation each time that it is
 * included. What is called from outside is in step_calls.h. */
#include "lif_types.h"

#include "lif_body.h"

/* An equation: the charged second state `c` and the potential h of the states v, c and the input x;
 * the threshold; the second state after a spike; and the gradients of these. `a` and `j` are its
 * two constants. */
#define EQUATION(n) NAME(alif_##n)
#define CHARGE c = a * c, h = v / tau + x
#define THETA (vth + c)
#define THETA_C 1 /* its derivative by c */
#define AFTER(s) c = c + j * (s)
#define AFTER_S j
#define BACK gx = gh, gc = gc * a
#include "step_body.h"
#include "step_undo.h"

#define EQUATION(n) NAME(cuba_##n)
#define CHARGE c = c / a + x, h = v / tau + c
#define THETA vth
#define THETA_C 0
#define AFTER(s) (void)0
#define AFTER_S 0
#define BACK gx = gh + gc, gc = gx / a
#include "step_body.h"
#include "step_undo.h"

#include "step_calls.h"
