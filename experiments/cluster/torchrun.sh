#!/usr/bin/env bash
# Trains with torchrun, on one machine or, started on each of them, on several. Failed processes are started again and
# go on from the newest checkpoint that can be read.
#
#   experiments/cluster/torchrun.sh --task segment --recipe carvana --data.root /data/carvana
#
# On two machines with one file system, each with its own NODE, from the same folder:
#
#   NODES=2 NODE=0 MASTER=first-machine experiments/cluster/torchrun.sh --task segment --recipe carvana ...
#   NODES=2 NODE=1 MASTER=first-machine experiments/cluster/torchrun.sh --task segment --recipe carvana ...
#
# The words after the file's name go to experiments/run.py. SIGTERM, SIGINT and SIGUSR1 to this script stop the run:
# it saves and ends with exit code 75. --resume goes on with it.

# ---------------------------------------------- the block to edit ----------------------------------------------------
# the run's name: its folder is runs/<task>/<RUN>, and restarts look for checkpoints there
RUN=${RUN:-torchrun}
# machines, the number of this one (from 0), and the name or address of machine 0
NODES=${NODES:-1}
NODE=${NODE:-0}
MASTER=${MASTER:-localhost}
PORT=${PORT:-29400}
# processes on this machine: one for each GPU, which is also what "gpu" means
DEVICES=${DEVICES:-gpu}
# how often failed processes are started again
RESTARTS=${RESTARTS:-3}
# the network the machines talk over, as "ip addr" calls it (ib0, eth0), and this machine's address in it;
# empty: found by themselves
INTERFACE=${INTERFACE:-}
ADDRESS=${ADDRESS:-}
# the Python that has Darkroom's libraries
PYTHON=${PYTHON:-python}
# ------------------------------------------- nothing to edit from here on --------------------------------------------

set -uo pipefail

fail() {
    echo "torchrun.sh: $*" >&2
    exit 2
}

run=$(dirname "$(dirname "$(readlink -f "$0")")")/run.py
command -v "$PYTHON" > /dev/null || fail "there is no '$PYTHON': set PYTHON in the block of this file"
(($# > 0)) || fail "what shall be trained? $0 --task segment --recipe carvana --data.root FOLDER"
named=(--name "$RUN")
for word in "$@"; do
    case $word in
        --trainer.devices* | --trainer.num_nodes*) fail "leave ${word%%=*} out: DEVICES and NODES say it" ;;
        --name | --name=* | --resume | --resume=*) named=() ;;
    esac
done
((NODE >= 0 && NODE < NODES)) || fail "NODE=$NODE: the machines are numbered from 0 to $((NODES - 1))"
getent ahosts "$MASTER" > /dev/null ||
    fail "MASTER=$MASTER does not resolve on $(hostname): give the address of machine 0 instead of its name"
if [[ $DEVICES == gpu ]]; then
    DEVICES=$("$PYTHON" -c 'import torch; print(torch.cuda.device_count())') || fail "$PYTHON has no torch"
    ((DEVICES > 0)) || fail "there is no GPU: set DEVICES, and add --trainer.accelerator cpu"
fi
if [[ -n $INTERFACE ]]; then
    export NCCL_SOCKET_IFNAME=$INTERFACE GLOO_SOCKET_IFNAME=$INTERFACE
fi
# One thread pool a process; a pool of all cores in each of them would fight.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# With the store shared, restarted processes find what the failed ones left in it, and wait (pytorch #135712).
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

# torchrun hands SIGTERM on to its processes, waits 30 s for them and forgets their exit codes.
asked=
trap 'asked=1; kill -TERM "$agent" 2> /dev/null' TERM INT USR1
wait "$agent"
code=$?
while kill -0 "$agent" 2> /dev/null; do # a signal cut the wait short
    wait "$agent"
    code=$?
done
if [[ -n $asked ]] && ((code != 0)); then
    echo "torchrun.sh: stopped; what was saved, and how to go on, stands above torchrun's own traceback" >&2
    exit 75
fi
exit "$code"
