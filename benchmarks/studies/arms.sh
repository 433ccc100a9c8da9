# The arms that every study begins with: supervision x MSE x penalty, and what may beat TRT. Sourced.
ARMS="rate,rate+mse=rate+mse@eta=0.05,rate+trt,rate+mse+trt,rate+l2n,rate+mse+l2n"
ARMS="$ARMS,step,step+mse=step+mse@eta=0.05,step+trt,trt,step+l2n,step+mse+l2n"
ARMS="$ARMS,anytime+kd,rate+logit,step+logit"

# A study that has begun goes on with the settings that it has.
if [ -e "$1/study.yaml" ]; then exec tempreg compare --out "$1" --jobs 2; fi
