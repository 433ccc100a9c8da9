/* What sums begin with: biases have more bits, and come later. */
static const net_sum *before(const net_layer *layer, int first, size_t pixel)
{
    static const net_sum nothing[MOST_BLOCK];
    (void)layer, (void)first, (void)pixel;
    return nothing;
}

/* As in float32, in whole numbers of a channel's scale with `shift` more bits: what a layer can add
 * up fits 31 bits (that was checked when this file was written), potentials stop at 2^30. */
static void fire(const net_layer *layer, int first, int block, size_t place, const net_sum *sums,
                 net_sum *v, unsigned char *spikes)
{
    const int64_t most = (int64_t)1 << 30;
    const net_sum *threshold = net_sums + layer->threshold + first;
    const net_sum *reset = net_sums + layer->reset + first;
    const net_sum *bias = net_sums + layer->bias + (layer->bias_by_pixel ? place : (size_t)first);
    for (int k = 0; k < block; k++) {
        int64_t h = (int64_t)v[k] * layer->leak / 65536 + bias[k];
        h += (int64_t)sums[k] * ((int64_t)1 << layer->shift);
        h = h > most ? most : h < -most ? -most : h;
        const int spike = h > threshold[k];
        spikes[k] = (unsigned char)spike;
        if (layer->soft)
            v[k] = (net_sum)(spike ? h - reset[k] : h);
        else
            v[k] = (net_sum)(spike ? reset[k] : h);
    }
}
