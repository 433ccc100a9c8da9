#!/usr/bin/env bash
# fashion.sh STUDY_FOLDER: begins or continues the study; Debian's dataset-fashion-mnist has the images.
set -eu
. "$(dirname "$0")/arms.sh"
exec tempreg compare fashion-trt \
  --data.name fashion-mnist-full --data.path /usr/share/datasets/fashion-mnist \
  --data.train_size 1000 --data.validation 0.02 --augment.shift 0 --augment.flip false \
  --optimizer.lr 4e-3 --model.channels '[16,32,64]' --epochs 40 --num-steps 4 --test_every 10 \
  --objectives "$ARMS" --reference rate --seeds 10 --trials 3 --trial-seeds 2 \
  --analyses none --jobs 2 --out "$1"
