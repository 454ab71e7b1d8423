#!/usr/bin/env bash
# Checks the kernels with a C++ compiler alone, without Rust and CUDA:
# - right results in three orders of blocks and threads
# - no bad access and no undefined behaviour (address and undefined behaviour sanitizers)
# - no race between the threads of a block (thread sanitizer)
# Then mistakes are planted, and each must be noticed, so that a checker that has stopped working fails here.
#
#     kernels/tools/sanitize.sh [BUILD_DIR]        CXX=g++
set -euo pipefail
kernels=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$(mktemp -d)}
cxx=${CXX:-g++}
mkdir -p "$build"
flags=(-std=c++17 -ffp-contract=off -fno-strict-aliasing -Wno-unknown-pragmas)

# The flags of each checker. The scheduler is compiled without the race detector, because it runs the threads.
declare -A with=([plain]="" [address]="-g -fsanitize=address,undefined -fno-sanitize-recover=undefined -DCUDA_CPU_ASAN" [thread]="-g -fsanitize=thread -DCUDA_CPU_TSAN")
for checker in plain address thread; do
    # shellcheck disable=SC2086
    "$cxx" "${flags[@]}" -O1 ${with[$checker]/-fsanitize=thread/} -c "$kernels/emulator/scheduler.cpp" -o "$build/scheduler.$checker.o"
done

compile() { # CHECKER OPTIMISATION SOURCE PROGRAM
    # shellcheck disable=SC2086
    "$cxx" "${flags[@]}" "$2" ${with[$1]} "$3" "$build/scheduler.$1.o" -o "$4"
}

expect() { # right|noticed PROGRAM ARGUMENT...
    local wanted=$1 found=right log
    shift
    log=$(mktemp "$build/log.XXXXXX")
    "$@" >"$log" 2>&1 || found=noticed
    if [ "$found" = "$wanted" ]; then
        echo "ok    $wanted: ${*##*/}"
    else
        echo "FAIL  wanted $wanted: $*"
        tail -n 20 "$log"
    fi
}

check() { # CHECKER: the kernels as they are
    compile "$1" -O1 "$kernels/emulator/selftest.cpp" "$build/selftest.$1"
    for order in 0 1 2; do expect right "$build/selftest.$1" $order; done
    compile "$1" -O1 "$kernels/emulator/planted.cpp" "$build/planted.$1"
    for kernel in broadcast_right reversal_right; do expect right "$build/planted.$1" $kernel; done
    expect noticed "$build/planted.$1" barrier_divergent
}

races() {
    # A lucky order hides this race from a plain run. The race detector notices it in any order.
    expect right "$build/planted.plain" broadcast_racy 0
    expect noticed "$build/planted.plain" broadcast_racy 1
    for kernel in broadcast_racy reversal_racy sum_racy; do expect noticed "$build/planted.thread" $kernel 0; done
}

plant() { # CHECKER ORDER FILE SED_EXPRESSION: the mistake is made in a copy of the kernels
    local copy
    copy=$(mktemp -d "$build/planted.XXXXXX")
    cp -r "$kernels"/*.cu "$kernels"/*.cuh "$kernels/emulator" "$kernels/sgemm_ladder" "$copy"
    sed -i -E "$4" "$copy/$3"
    if cmp -s "$kernels/$3" "$copy/$3"; then
        echo "FAIL  nothing to plant in $3: $4"
        return
    fi
    compile "$1" -O0 "$copy/emulator/selftest.cpp" "$copy/$1"
    echo "planted in $3: $4: $(expect noticed "$copy/$1" "$2")"
}

# Begins a job: as many run at a time as there are cores, and what each says comes in one piece at the end.
rm -f "$build"/job.*
jobs=0
begin() { # FUNCTION ARGUMENT...
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
    jobs=$((jobs + 1))
    { "$@"; echo "done"; } >"$build/job.$(printf %02d $jobs)" 2>&1 &
}

"$cxx" "${flags[@]}" -Wall -Wextra -Werror -fsyntax-only "$kernels/emulator/selftest.cpp"
for checker in plain address thread; do begin check $checker; done
wait
begin races

# Barriers left out.
begin plant plain 0 sgemm_tile.cuh '/next_b.store\(panels_b\[now \^ 1\]\)/{n;d}'
begin plant thread 0 sgemm_tile.cuh '/next_b.store\(panels_b\[now \^ 1\]\)/{n;d}'
begin plant thread 0 sgemm.cu '/^    __syncthreads\(\);/d'
begin plant thread 0 batch_norm.cu '/^    __syncthreads\(\);/d'
begin plant plain 1 batch_norm.cu '/^    __syncthreads\(\);/d'
begin plant thread 0 input.cu '/^    __syncthreads\(\);/d'
begin plant thread 0 softmax_cross_entropy.cu '/^        __syncthreads\(\);/d'
begin plant thread 0 clip.cu '/^    __syncthreads\(\);/d'
# A barrier that not all threads reach.
begin plant plain 0 clip.cu 's/^        __syncthreads\(\);/        if (threadIdx.x < half) __syncthreads();/'
# Reads and writes past the end.
begin plant address 0 sgemm_tile.cuh 's/row >= rows \|\| column >= columns/column >= columns/'
begin plant address 0 sgemm_tile.cuh 's/if \(row >= m \|\| column >= n\) continue/if (column >= n) continue/'
begin plant address 0 activation.cu 's/first \+ 4 <= count/first < count/'
# 128-bit loads at addresses that are not aligned.
begin plant address 0 sgemm_tile.cuh 's/return row_length % GROUP == 0 \&\& /return row_length > 4 \&\& /'
# Reads of shared memory that was never written.
begin plant plain 0 sgemm_ladder/2_tiled.cu 's/(tile_a\S+) = (row < m && along < k) \? (.*) : 0.0f;/if (\2) \1 = \3;/'
# Wrong arithmetic, which the comparison must notice.
begin plant plain 0 moments.cuh 's/delta \* delta \* count/delta * count/'
begin plant plain 0 random.cuh 's/0xBB67AE85u/0xBB67AE86u/'
wait

cat "$build"/job.*
failures=$(cat "$build"/job.* | grep -c FAIL || true)
ended=$(cat "$build"/job.* | grep -cx "done" || true)
echo "$ended of $jobs jobs ended, $failures failures"
[ "$ended" -eq $jobs ] && [ "$failures" -eq 0 ]
