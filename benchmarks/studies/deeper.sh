#!/usr/bin/env bash
# deeper.sh STUDY_FOLDER: begins or continues the study of eight convolutions in the place of fashion.sh's three.
set -eu
if [ -e "$1/study.yaml" ]; then exec tempreg compare --out "$1" --jobs 2; fi
exec tempreg compare fashion-trt \
  --data.name fashion-mnist-full --data.path /usr/share/datasets/fashion-mnist \
  --data.train_size 1000 --data.validation 0.02 --augment.shift 0 --augment.flip false \
  --optimizer.lr 4e-3 --model.name vggsnn --model.width 8 --model.channels null --epochs 40 --num-steps 4 \
  --objectives 'rate,step+mse=step+mse@eta=0.05,trt=trt@lam=1e-3' \
  --reference rate --seeds 5 \
  --analyses none --jobs 2 --out "$1"
