#!/usr/bin/env bash
# nmnist.sh STUDY_FOLDER: begins or continues the study; seven arms of the fifteen, for their runs are long.
set -eu
if [ -e "$1/study.yaml" ]; then exec tempreg compare --out "$1" --jobs 2; fi
exec tempreg compare nmnist-trt \
  --data.folds 5 --data.reserve 0.25 --data.validation 0.15 --augment.shift 0 \
  --optimizer.lr 4e-3 --model.channels '[16,32,64]' --epochs 20 --num-steps 6 --test_every 5 \
  --objectives rate,rate+mse=rate+mse@eta=0.05,step,step+mse=step+mse@eta=0.05,trt,step+mse+l2n,step+logit \
  --reference rate --seeds 20 --trials 3 --trial-seeds 2 \
  --analyses none --jobs 2 --out "$1"
