#if VECTORS
typedef int32_t net_mask __attribute__((vector_size(8 * sizeof(int32_t))));
typedef unsigned char net_bytes __attribute__((vector_size(8)));
#endif

/* What sums begin with. */
static const net_sum *before(const net_layer *layer, int first, size_t pixel)
{
    const size_t from = layer->bias_by_pixel ? pixel * (size_t)maps[layer->output].stride : 0;
    return net_sums + layer->bias + from + (size_t)first;
}

/* h = v / tau + x; a spike where h > v_threshold; then the reset. */
static void fire(const net_layer *layer, int first, int block, size_t place, const net_sum *sums,
                 net_sum *v, unsigned char *spikes)
{
    (void)place;
    const net_sum *threshold = net_sums + layer->threshold + first;
    const net_sum *reset = net_sums + layer->reset + first;
#if VECTORS
    for (int k = 0; k < block; k += 8) {
        net_eight h, potential, limit, after;
        memcpy(&potential, v + k, sizeof potential);
        memcpy(&h, sums + k, sizeof h);
        memcpy(&limit, threshold + k, sizeof limit);
        memcpy(&after, reset + k, sizeof after);
        h += potential * layer->leak;
        const net_mask fired = h > limit;
        if (layer->soft)
            after = h - after;
        potential = (net_eight)(((net_mask)after & fired) | ((net_mask)h & ~fired));
        memcpy(v + k, &potential, sizeof potential);
        const net_bytes bytes = __builtin_convertvector(fired & 1, net_bytes);
        memcpy(spikes + k, &bytes, sizeof bytes);
    }
#else
    for (int k = 0; k < block; k++) {
        const net_sum h = v[k] * layer->leak + sums[k];
        const int spike = h > threshold[k];
        spikes[k] = (unsigned char)spike;
        if (layer->soft)
            v[k] = spike ? h - reset[k] : h;
        else
            v[k] = spike ? reset[k] : h;
    }
#endif
}
