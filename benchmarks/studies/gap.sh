#!/usr/bin/env bash
# gap.sh FOLDER_OF_STUDIES: begins or continues a study for each gap, and one of motion, at both tau.
set -eu
ARMS="rate,step,trt,strong-trt=trt@lam=6e-3,anytime+kd"
for tau in 2 1.1; do
  for gap in 0 2 4 8; do
    tempreg compare fashion-trt --data.name fashion-gap --data.gap "$gap" --num-steps $((4 + gap)) \
      --model.tau "$tau" --augment.shift 0 --augment.flip false --model.channels '[16,32,64]' \
      --epochs 15 --objectives "$ARMS" --reference rate --seeds 5 --analyses gradients --jobs 2 \
      --out "$1/gap-$gap-tau-$tau"
  done
  tempreg compare fashion-trt --data.name fashion-motion --num-steps 8 --model.tau "$tau" \
    --augment.shift 0 --augment.flip false --model.channels '[16,32,64]' --epochs 15 \
    --objectives "$ARMS" --reference rate --seeds 5 --analyses gradients --jobs 2 \
    --out "$1/motion-tau-$tau"
done
