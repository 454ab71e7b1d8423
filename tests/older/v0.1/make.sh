#!/usr/bin/env bash
# Makes the files beside it with version 0.1: ./make.sh PATH_OF_THE_PROGRAM. Never made anew: a later version must read what this one wrote.
set -euo pipefail
cd "$(dirname "$0")"
program=$1

# 90 rows of three classes with names, four features.
awk 'BEGIN {
  print "a,b,c,d,label"; split("cat,dog,emu", name, ",")
  for (i = 0; i < 90; i++) {
    k = i % 3
    printf "%.3f,%.3f,%.3f,%.3f,%s\n", k + sin(i * 1.7), k * k - cos(i * 2.3), sin(i * 0.9) - k, cos(i * 5.1), name[k + 1]
  }
}' > data.csv

train() { "$program" train --quiet --data data.csv --threads 1 --batch-size 7 "$@"; }

# Finished runs of 2 epochs. Resumed, they must come to what 4 epochs in one go come to: `whole`.
default=(--widths 6,5 --dropout 0.2)
adamw=(--width 8 --depth 3 --optimizer adamw --lr 0.01 --schedule multistep --milestones 1,3 --warmup 1 --label-smoothing 0.1
  --class-weights 1,2,0.5 --activation gelu --order activation_dropout --dropout 0.1 --monitor val_loss --patience 9 --seed 7
  --normalize standard)
f64=(--precision f64 --widths 5 --batch-norm false --optimizer sgd --momentum 0.9 --nesterov --clip-norm 1 --init xavier_normal)
for run in default adamw f64; do
  declare -n settings=$run
  train "${settings[@]}" --epochs 2 --out runs/$run
  train "${settings[@]}" --epochs 4 --out whole/$run
  "$program" predict --model runs/$run data.csv --out runs/$run.csv
  "$program" predict --model whole/$run data.csv --out whole/$run.csv
  rm whole/$run/{checkpoint,model}.safetensors whole/$run/config.toml
done

# Stopped within an epoch: many more threads than processors make its steps slow.
stopped=(--data data.csv --batch-size 2 --widths 4 --epochs 9 --activation tanh --schedule cosine --schedule-by update --seed 3)
timeout --signal INT 0.8 "$program" train --quiet "${stopped[@]}" --threads 400 --out runs/stopped || [ $? -eq 124 ]
"$program" train --quiet "${stopped[@]}" --threads 1 --out whole/stopped
"$program" predict --model whole/stopped data.csv --out whole/stopped.csv
rm whole/stopped/{checkpoint,model}.safetensors whole/stopped/config.toml

# Studies of which a part is done, and the same studies whole.
search() { "$program" search --quiet --data data.csv --threads 1 --epochs 2 --seed 5 "$@" > /dev/null; }
ranges=(--lr 0.0005..0.05:log --width 4..9 --batch-size 4..16:4 --activation relu,tanh --dropout 0.0..0.4 --augment none
  --class-weights 1,1,1/1,2,3 --optimizer adam,adamw --batch-norm true,false)
sobol=(--name sobol --sampler sobol --repeats 2 --batch-size 7 --widths 6/5,4 --lr 0.001..0.1 --weight-decay 0,0.0001 --schedule cosine --warmup 1
  --objective val_loss --keep 1)
for part in 3:studies 6:whole; do
  mkdir -p studies whole
  file=${part#*:}/search.journal
  search --trials ${part%:*} --study $file "${ranges[@]}"
  search --trials ${part%:*} --study $file "${sobol[@]}"
done
"$program" sweep lr --values 0.001,0.01 init --values default,kaiming_normal --quiet --data data.csv --threads 1 --epochs 2 --width 5 --batch-size 7 --repeats 2 \
  --study whole/sweep.journal > /dev/null
# The sweep after its second trial.
awk '{ print } /"op_code":6/ && /"state":1/ && ++done == 2 { exit }' whole/sweep.journal > studies/sweep.journal
rm -rf studies/*.trials whole/*.trials
