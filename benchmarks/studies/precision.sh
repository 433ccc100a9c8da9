#!/usr/bin/env bash
# precision.sh FOLDER_OF_STUDIES [NAME...]: begins or continues the studies of bf16-mixed beside float32.
set -eu
folder=$1
shift
ARMS='rate,rate-bf16=rate@precision=bf16-mixed'
ARMS="$ARMS,trt=trt@lam=1e-3,trt-bf16=trt@lam=1e-3@precision=bf16-mixed"

study() { # NAME SETTING...
  local name=$1
  shift
  if [ -e "$folder/$name/study.yaml" ]; then
    tempreg compare --out "$folder/$name" --jobs 2
    return
  fi
  tempreg compare "$@" --augment.shift 0 --augment.flip false --optimizer.lr 4e-3 --model.channels '[16,32,64]' \
    --objectives "$ARMS" --reference rate --seeds 10 --analyses none --jobs 2 --out "$folder/$name"
}

[ $# -gt 0 ] || set -- fashion nmnist
for name in "$@"; do
  case $name in
    fashion) study fashion fashion-trt \
      --data.name fashion-mnist-full --data.path /usr/share/datasets/fashion-mnist \
      --data.train_size 1000 --data.validation 0.02 --epochs 40 --num-steps 4 ;;
    nmnist) study nmnist nmnist-trt --epochs 20 --num-steps 6 ;;
  esac
done
