#!/usr/bin/env bash
# Trains with torchrun, on one machine or, started once on each, on several. Failed processes are restarted and resume
# from the newest valid checkpoint.
#
#   experiments/cluster/torchrun.sh --task segment --recipe carvana --data.root /data/carvana
#
# On two machines with a shared file system, from the same folder, each with its own NODE:
#
#   NODES=2 NODE=0 MASTER=first-machine experiments/cluster/torchrun.sh --task segment --recipe carvana ...
#   NODES=2 NODE=1 MASTER=first-machine experiments/cluster/torchrun.sh --task segment --recipe carvana ...
#
# Arguments go to experiments/run.py. SIGTERM, SIGINT and SIGUSR1 to this script stop the run: it saves a checkpoint
# and ends with exit code 75. Continue it with --resume.

# ---------------------------------------------- the settings to edit ----------------------------------------------------
# name of the run: its folder is runs/<task>/<RUN>, where restarts look for checkpoints
RUN=${RUN:-torchrun}
# number of machines, index of this one (from 0), and host name or address of machine 0
NODES=${NODES:-1}
NODE=${NODE:-0}
MASTER=${MASTER:-localhost}
PORT=${PORT:-29400}
# processes on this machine; "gpu" means one per GPU
DEVICES=${DEVICES:-gpu}
# how often failed processes are restarted
RESTARTS=${RESTARTS:-3}
# network interface between the machines, as in "ip addr" (ib0, eth0), and this machine's address on it;
# empty: detected
INTERFACE=${INTERFACE:-}
ADDRESS=${ADDRESS:-}
# the Python interpreter with Darkroom's dependencies
PYTHON=${PYTHON:-python}
# ------------------------------------------- nothing to edit below --------------------------------------------

set -uo pipefail

fail() {
    echo "torchrun.sh: $*" >&2
    exit 2
}

run=$(dirname "$(dirname "$(readlink -f "$0")")")/run.py
command -v "$PYTHON" > /dev/null || fail "'$PYTHON' not found: set PYTHON in the settings of this file"
(($# > 0)) || fail "no arguments: $0 --task segment --recipe carvana --data.root FOLDER"
named=(--name "$RUN")
for argument in "$@"; do
    case $argument in
        --trainer.devices* | --trainer.num_nodes*) fail "remove ${argument%%=*}: DEVICES and NODES set it" ;;
        --name | --name=* | --resume | --resume=*) named=() ;;
    esac
done
((NODE >= 0 && NODE < NODES)) || fail "NODE=$NODE is out of range: machines are numbered from 0 to $((NODES - 1))"
getent ahosts "$MASTER" > /dev/null ||
    fail "MASTER=$MASTER does not resolve on $(hostname): use the address of machine 0 instead of its name"
if [[ $DEVICES == gpu ]]; then
    DEVICES=$("$PYTHON" -c 'import torch; print(torch.cuda.device_count())') || fail "$PYTHON cannot import torch"
    ((DEVICES > 0)) || fail "no GPU found: set DEVICES, and add --trainer.accelerator cpu"
fi
if [[ -n $INTERFACE ]]; then
    export NCCL_SOCKET_IFNAME=$INTERFACE GLOO_SOCKET_IFNAME=$INTERFACE
fi
# One thread per process; thread pools of all cores in every process would compete.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# With a shared store, restarted processes find stale entries of the failed ones and hang (pytorch #135712).
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1

launch=(--nnodes "$NODES" --nproc_per_node "$DEVICES" --max_restarts "$RESTARTS" --rdzv_id "$RUN" --rdzv_backend c10d)
launch+=(--rdzv_endpoint "$MASTER:$PORT" --rdzv_conf "is_host=$((NODE == 0))")
if [[ -n $ADDRESS ]]; then
    launch+=(--local_addr "$ADDRESS")
elif ((NODES == 1)); then
    launch+=(--local_addr 127.0.0.1)
fi
"$PYTHON" -m torch.distributed.run "${launch[@]}" \
    "$run" "$@" "${named[@]}" --trainer.devices "$DEVICES" --trainer.num_nodes "$NODES" &
agent=$!

# torchrun forwards SIGTERM to its processes, waits 30 s for them and discards their exit codes.
stopped=
trap 'stopped=1; kill -TERM "$agent" 2> /dev/null' TERM INT USR1
wait "$agent"
code=$?
while kill -0 "$agent" 2> /dev/null; do # the signal interrupted the wait
    wait "$agent"
    code=$?
done
if [[ -n $stopped ]] && ((code != 0)); then
    echo "torchrun.sh: stopped; the checkpoint and the command to resume are printed above torchrun's traceback" >&2
    exit 75
fi
exit "$code"
