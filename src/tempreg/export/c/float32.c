static void currents(net_state *state, const net_layer *layer, int first, int block, int oy, int ox,
                     net_sum *sums)
{
    const net_map *out = &maps[layer->output];
    const size_t pixel = (size_t)oy * (size_t)out->width + (size_t)ox;
    const size_t from = layer->bias_by_pixel ? pixel * (size_t)out->stride : 0;
    memcpy(sums, net_sums + layer->bias + from + (size_t)first, (size_t)block * sizeof(net_sum));
    for (int i = 0; i < layer->sources; i++)
        add_source(state, &sources[layer->source + i], first, block, oy, ox, sums);
}

/* h = v / tau + x; a spike where h > v_threshold; then the reset. */
static void fire(const net_layer *layer, int first, int block, const net_sum *sums, net_sum *v,
                 unsigned char *spikes)
{
    const net_sum *threshold = net_sums + layer->threshold + first;
    const net_sum *reset = net_sums + layer->reset + first;
    for (int k = 0; k < block; k++) {
        const net_sum h = v[k] * layer->leak + sums[k];
        const int spike = h > threshold[k];
        spikes[k] = (unsigned char)spike;
        if (layer->soft)
            v[k] = spike ? h - reset[k] : h;
        else
            v[k] = spike ? reset[k] : h;
    }
}
