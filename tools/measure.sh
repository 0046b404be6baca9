#!/usr/bin/env bash
# Makes every file of tools/results/ anew, then the documents: about 80 minutes on two quiet cores, and 50 of modem.
#
#     tools/measure.sh [PYTHON]
#
# Start it from a clean commit and run nothing else meanwhile. It takes the pictures in ../shared/data and the packages of
# `pip install '.[test,cluster]'`, and if they are installed those of '.[benchmark]'. `modem` needs ffmpeg; `peers` needs
# amodem, ggwave and minimodem; `false_alarms` needs espeak-ng and games with music (asc-music, hyperrogue-music). Single
# lines can be run again alone.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python}
export PYTHONPATH=$PWD TF_CPP_MIN_LOG_LEVEL=3
results=tools/results
test=../shared/data/linnaeus5_layout/test
train=../shared/data/linnaeus5_layout/train
never_jpeg=../shared/data/never_jpeg/test
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

measure() {  # FILE, then a command that takes --json
  echo "== $1, $(date +%T)"
  "$python" "${@:2}" --json="$results/$1.json" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
}

"$python" tools/bundled.py >/dev/null                                                       # 1 minute
declare -A also=([unet]=--unrounded [codebook]=--nounrounded)
for preset in codebook unet; do
  score="-m stegano_tf.evaluate --force --preset=$preset ${also[$preset]}"
  measure $preset-test $score --data=$test                                                  # 3 minutes each
  measure $preset-never_jpeg $score --data=$never_jpeg
done
measure codebook-refine=50-never_jpeg -m stegano_tf.evaluate --force --refine=50 --data=$never_jpeg  # 2
for side in 256 1024; do
  "$python" tools/odd_pictures.py --out="$scratch/$side" --side=$side
  measure codebook-odd-$side -m stegano_tf.evaluate --force --side=$side --data="$scratch/$side"     # 1
done
measure baselines-test tools/baselines.py --data=$test                                      # 8
measure baselines-never_jpeg tools/baselines.py --data=$never_jpeg                          # 1
measure runtime tools/benchmark_runtime.py                                                  # 3
measure scale tools/benchmark_scale.py --data=$train                                        # 5
measure codec tools/benchmark_codec.py                                                      # 1
measure audio tools/benchmark_audio.py --trials=200                                         # 2
measure limits tools/benchmark_limits.py                                                    # 3
measure batch tools/benchmark_batch.py --data=$train                                         # 45
measure message tools/benchmark_message.py --data=$never_jpeg                                # 20
measure modem tools/benchmark_modem.py                                                      # 80
measure peers tools/benchmark_peers.py                                                      # 30
measure false_alarms tools/false_alarms.py --sounds=/usr/share/games                        # 20
measure web tools/benchmark_web.py --data=$never_jpeg --full=../shared/data/never_jpeg/full    # 10, needs npm ci in web/
measure benchmark_serving tools/benchmark_serving.py                                        # 5
measure attack tools/attack.py                                                              # 13
measure fuzz_serving tools/fuzz_serving.py                                                  # 30
measure benchmark_training tools/benchmark_training.py --policy=float32 --preset=codebook --preset=unet --preset=paper \
  --repeats=3 --seconds=20                                                                  # 5

"$python" tools/report.py
for preset in codebook unet; do
  "$python" -m stegano_tf.export --preset=$preset --card_only
done
git status --short
