"""Models of other libraries as modules with logits [T, B, C], for every loss and analysis here.

    from tempreg.interop import spikingjelly, snntorch, norse, sinabs
    model = spikingjelly.TimeFirst(net, num_steps=4)

Nothing here imports those libraries: neurons are known by their classes. See docs/frameworks.md.
"""
