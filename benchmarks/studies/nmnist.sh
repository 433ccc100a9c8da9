#!/usr/bin/env bash
# nmnist.sh STUDY_FOLDER: begins or continues the study.
set -eu
. "$(dirname "$0")/arms.sh"
exec tempreg compare nmnist-trt \
  --data.folds 5 --data.reserve 0.25 --data.validation 0.15 --augment.shift 0 \
  --model.channels '[16,32,64]' --epochs 60 --num-steps 6 --test_every 10 --snapshot_every 20 \
  --fisher_every 60 --objectives "$ARMS" --reference rate --seeds 20 --trials 4 --trial-seeds 2 \
  --analyses none --jobs 2 --out "$1"
