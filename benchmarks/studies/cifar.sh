#!/usr/bin/env bash
# cifar.sh STUDY_FOLDER FOLDER_OF_IMAGES: begins or continues the study; images are CIFAR-10's, compressed as JPEG.
set -eu
if [ -e "$1/study.yaml" ]; then exec tempreg compare --out "$1" --jobs 2; fi
exec tempreg compare fashion-trt \
  --data.name cifar10-jpeg --data.path "$2" --data.train_size 5000 --data.validation 0.02 \
  --optimizer.lr 8e-3 --model.channels '[16,32,64]' --epochs 30 --num-steps 4 \
  --objectives rate,rate+mse=rate+mse@eta=0.05,step+mse=step+mse@eta=0.05,trt,step+logit \
  --reference rate --seeds 8 --trials 3 --trial-seeds 2 --trial-epochs 10 \
  --analyses none --jobs 2 --out "$1"
