#!/usr/bin/env bash
# gap.sh FOLDER_OF_STUDIES [NAME...]: begins or continues a study of each task that needs time.
set -eu
folder=$1

study() { # NAME TIMESTEPS TAU DATA SETTING...
  local name=$1 steps=$2 tau=$3 data=$4
  shift 4
  if [ -e "$folder/$name/study.yaml" ]; then
    tempreg compare --out "$folder/$name" --jobs 2
    return
  fi
  tempreg compare fashion-trt --data.name "$data" --num-steps "$steps" --model.tau "$tau" "$@" \
    --data.train_size 1000 --augment.shift 0 --augment.flip false --model.channels '[16,32,64]' \
    --optimizer.lr 4e-3 --epochs 20 --objectives 'rate,step,trt,strong-trt=trt@lam=1e-3,anytime+kd' --reference rate --seeds 5 \
    --analyses gradients --jobs 2 --out "$folder/$name"
}

# gap-4 and motion at tau 2 were published without strong-trt.
[ $# -gt 1 ] || set -- "$1" gap-4 motion gap-0 gap-4-tau-1.1 motion-tau-1.1 gap-8
shift
for name in "$@"; do
  case $name in
    gap-4) study gap-4 8 2 fashion-gap --data.gap 4 ;;
    motion) study motion 8 2 fashion-motion ;;
    gap-0) study gap-0 4 2 fashion-gap --data.gap 0 ;;
    gap-4-tau-1.1) study gap-4-tau-1.1 8 1.1 fashion-gap --data.gap 4 ;;
    motion-tau-1.1) study motion-tau-1.1 8 1.1 fashion-motion ;;
    gap-8) study gap-8 12 2 fashion-gap --data.gap 8 ;;
  esac
done
