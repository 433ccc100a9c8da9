#!/usr/bin/env bash
# networks.sh FOLDER_OF_STUDIES: begins or continues a study each of Spikformer and of the recurrent network.
set -eu
ARMS="rate,step+mse,trt,anytime+kd"
for preset in nmnist-spikformer nmnist-rsnn fashion-spikformer; do
  tempreg compare "$preset" --objectives "$ARMS" --reference rate --seeds 5 --analyses none --jobs 2 \
    --out "$1/$preset"
done
for gap in 4 8; do
  tempreg compare fashion-trt --data.name fashion-gap --data.gap "$gap" --num-steps $((4 + gap)) \
    --model.name rsnn --model.channels '[128,128]' --augment.shift 0 --augment.flip false --epochs 15 \
    --objectives "$ARMS" --reference rate --seeds 5 --analyses none --jobs 2 --out "$1/rsnn-gap-$gap"
done
