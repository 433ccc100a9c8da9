/* Forgets an equation, before the next one. */
#undef EQUATION
#undef CHARGE
#undef THETA
#undef THETA_C
#undef AFTER
#undef AFTER_S
#undef BACK
