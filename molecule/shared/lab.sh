#!/usr/bin/env bash
# The lab's host side: Docker, the base image, who holds the lab's names, and the proof that it works.
# Called by the Makefile, and by Molecule as its dependency step, so that `molecule test` typed by hand needs nothing else.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
image_dir=$checkout/molecule/shared/image
state_dir=$checkout/.lab
network=hitless-lab
containers=(lb1 lb2 web1 web2 client)
vip=198.51.100.100

say() { printf '%s\n' "lab: $*"; }
die() {
    printf '%s\n' "lab: $*" >&2
    exit 1
}
can_install() { # Packages may be installed without asking: Debian or Ubuntu, as root
    [ "$(id -u)" = 0 ] && [ -r /etc/os-release ] && grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}
apt_install() {
    say "installing $*"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; } >/dev/null ||
        die "apt-get could not install $*"
}

# --- Docker -------------------------------------------------------------------------------------------------------------
engine() {
    docker info >/dev/null 2>&1 && return
    can_install || die "no Docker engine answers: install and start Docker (Linux: package docker.io or docker-ce; macOS: Docker Desktop)"
    command -v dockerd >/dev/null || apt_install docker.io iptables
    command -v docker >/dev/null || apt_install docker-cli
    say "starting Docker"
    if [ -d /run/systemd/system ]; then systemctl start docker; else service docker start >/dev/null; fi ||
        die "Docker could not be started: see its log (journalctl -u docker, or /var/log/docker.log)"
    for _ in $(seq 60); do
        docker info >/dev/null 2>&1 && return
        sleep 1
    done
    die "Docker was started and doesn't answer within 60 s: see its log (journalctl -u docker, or /var/log/docker.log)"
}

ssh_tools() {
    command -v ssh >/dev/null && command -v ssh-keygen >/dev/null && return
    can_install || die "no SSH client found: install OpenSSH's client (one lab node is reached by SSH)"
    apt_install openssh-client
}

# --- Which image ----------------------------------------------------------------------------------------------------------
# make's DEBIAN=12, 13 or mixed chooses the releases; Molecule knows only the two variables of .config/molecule/config.yml, by default 13.
releases() {
    local asked=${DEBIAN:-}
    if [ -n "${MOLECULE_FILE:-}" ]; then asked=; fi
    case "$asked" in
    12 | 13) echo "$asked $asked" ;;
    mixed) echo "12 13" ;;
    "") echo "${HITLESS_DEBIAN_LB1:-13} ${HITLESS_DEBIAN_LB2:-13}" ;;
    *) die "DEBIAN=$asked: write 12, 13 or mixed" ;;
    esac
}

# The image's own recipe as a checksum: another recipe is another image.
recipe() { cat "$image_dir"/* | sha256sum | cut -c1-12; }

base() { # RELEASE: the reference of a plain Debian image, from a registry or from the Debian archive
    local reference=debian:$1 codename root
    docker image inspect "$reference" >/dev/null 2>&1 && echo "$reference" && return
    timeout 120 docker pull -q "$reference" >/dev/null 2>&1 && echo "$reference" && return
    case $1 in 12) codename=bookworm ;; 13) codename=trixie ;; esac
    reference=hitless-base:$1
    docker image inspect "$reference" >/dev/null 2>&1 && echo "$reference" && return
    if ! command -v mmdebstrap >/dev/null && ! command -v debootstrap >/dev/null; then
        can_install || die "no registry answers and there is no mmdebstrap or debootstrap to make Debian $1 from the archive: install one"
        apt_install mmdebstrap >&2
    fi
    say "no registry answers: making Debian $1 from the Debian archive" >&2
    if command -v mmdebstrap >/dev/null; then
        mmdebstrap --quiet --variant=minbase --include="$(paste -sd, "$image_dir/packages.txt")" "$codename" - |
            docker import - "$reference" >/dev/null
    else
        root=$(mktemp -d)
        debootstrap --variant=minbase "$codename" "$root" >/dev/null
        tar -C "$root" -c . | docker import - "$reference" >/dev/null
        rm -rf "$root"
    fi
    echo "$reference"
}

image() { # RELEASE
    local tag=hitless-lab:$1 label
    label=$(docker image inspect -f '{{ index .Config.Labels "hitless.recipe" }}' "$tag" 2>/dev/null || true)
    [ "$label" = "$(recipe)" ] && return
    say "making image $tag"
    local from started=$SECONDS
    from=$(base "$1")
    local builder=1
    docker buildx version >/dev/null 2>&1 || builder=0
    local log
    log=$(mktemp)
    DOCKER_BUILDKIT=$builder docker build --build-arg "BASE=$from" --label "hitless.recipe=$(recipe)" -t "$tag" "$image_dir" \
        >"$log" 2>&1 || {
        cat "$log" >&2
        die "the image could not be built"
    }
    rm -f "$log"
    say "image $tag made in $((SECONDS - started)) s"
}

# --- Who holds the lab's names ---------------------------------------------------------------------------------------------
exists() { docker container inspect "$1" >/dev/null 2>&1; }
label_of() { docker container inspect -f '{{ index .Config.Labels "hitless.checkout" }}' "$1" 2>/dev/null || true; }
owner_of_lab() { # the checkout whose containers or network hold the names; nothing if they are free
    local c
    for c in "${containers[@]}"; do
        exists "$c" && label_of "$c" && return
    done
    docker network inspect -f '{{ index .Labels "hitless.checkout" }}' "$network" 2>/dev/null || true
}

down() {
    local c
    for c in "${containers[@]}"; do
        if exists "$c"; then
            # Never a container that isn't the lab's: somebody's own "client" or "web1" is theirs.
            [ -n "$(label_of "$c")" ] || die "a container named $c exists that isn't the lab's: rename or remove it, the lab needs the name"
            docker rm -f "$c" >/dev/null
        fi
    done
    if docker network inspect "$network" >/dev/null 2>&1; then docker network rm "$network" >/dev/null; fi
    # Molecule's notes about containers that are no more
    rm -f "$checkout"/.cache/molecule/*/state.yml
}

take_over() { # the names come to this checkout, with the releases asked for
    local owner
    owner=$(owner_of_lab)
    [ -n "$owner" ] || { down; return; }
    if [ "$owner" != "$checkout" ]; then
        say "taking over the lab that $owner left running"
        down
        return
    fi
    local lb1 lb2 c wanted
    read -r lb1 lb2 <<<"$(releases)"
    for c in "${containers[@]}"; do
        case $c in lb1 | web1) wanted=hitless-lab:$lb1 ;; *) wanted=hitless-lab:$lb2 ;; esac
        if ! exists "$c" || [ "$(docker container inspect -f '{{ .Image }}' "$c")" != "$(docker image inspect -f '{{ .Id }}' "$wanted")" ]; then
            say "$c is not there, or not from $wanted as it is now: making the lab anew"
            down
            return
        fi
    done
}

running() { # all containers there and up
    local c
    for c in "${containers[@]}"; do
        [ "$(docker container inspect -f '{{ .State.Running }} {{ .State.Paused }}' "$c" 2>/dev/null)" = "true false" ] || return 1
    done
}

free_subnets() { # a subnet that is routed already would cut somebody off: refuse it before Docker gets it
    docker network inspect "$network" >/dev/null 2>&1 && return
    command -v ip >/dev/null || return 0
    ip -j route show table all >"$state_dir/routes4.json"
    ip -j -6 route show table all >"$state_dir/routes6.json" 2>/dev/null || echo '[]' >"$state_dir/routes6.json"
    python3 "$checkout/molecule/shared/free_subnets.py" "$state_dir/routes4.json" "$state_dir/routes6.json" || exit 1
}

ready() {
    mkdir -p "$state_dir"
    chmod 0700 "$state_dir"
    engine
    ssh_tools
    [ -f "$state_dir/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C hitless-lab -f "$state_dir/id_ed25519"
    # Molecule and the playbooks find the collection here, whatever the checkout's own name is.
    mkdir -p "$checkout/.collections/ansible_collections/hitless"
    ln -sfn ../../.. "$checkout/.collections/ansible_collections/hitless/lb"
    local lb1 lb2
    read -r lb1 lb2 <<<"$(releases)"
    image "$lb1"
    [ "$lb1" = "$lb2" ] || image "$lb2"
    take_over
    free_subnets
    local notes=${MOLECULE_EPHEMERAL_DIRECTORY:-}/state.yml
    if [ -f "$notes" ] && grep -q '^created: true' "$notes" && ! exists lb1; then
        say "the containers that Molecule remembers are gone: if it skips 'create' now, run 'molecule destroy' once"
    fi
}

# --- The proof, from the client ----------------------------------------------------------------------------------------------
proof() {
    local user=admin password c i
    password=$(cat "$state_dir/stats_password")
    echo
    echo "The virtual IP $vip"
    for c in lb1 lb2; do
        if docker exec "$c" ip -o addr show to "$vip" | grep -q .; then echo "  is owned by $c"; fi
    done
    docker exec client ping -c1 -W2 "$vip" >/dev/null || true
    echo "  answers the client with MAC $(docker exec client ip neigh show "$vip" | sed -n 's/.*lladdr \([^ ]*\).*/\1/p')"
    echo "Three answers from http://$vip:8080/healthz, asked by the client"
    for i in 1 2 3; do echo "  $i: $(docker exec client curl -sS -m 5 "http://$vip:8080/healthz")"; done
    echo "State of every backend server"
    docker exec -i client curl -sS -m 5 -K - "http://$vip:8090/haproxy/stats;csv" <<<"user = \"$user:$password\"" |
        awk -F, '!/^#/ && $2 != "FRONTEND" && $2 != "BACKEND" && $18 != "" {printf "  %-12s %-12s %s\n", $1, $2, $18}'
    echo "In a browser on this machine"
    echo "  http://localhost:28080/ (lb1)   http://localhost:29080/ (lb2)   http://$vip:8080/ (the virtual IP, on Linux)"
    echo "  https://localhost:28443/ and https://localhost:29443/ (certificate of the lab's own CA, .lab/ca/ca.crt)"
    echo "  http://localhost:28090/haproxy/stats   user $user   password $password"
}

case "${1:-}" in
ready) ready ;;
running) running ;;
down) down ;;
take-down) # for `make test`: the names must be free
    owner=$(owner_of_lab)
    if [ -n "$owner" ]; then
        say "the tests take over the lab's names; the lab of $owner ends here (make lab brings it back)"
        down
    fi
    ;;
clean) # everything that the lab leaves on the machine
    down
    for i in hitless-lab:12 hitless-lab:13 hitless-base:12 hitless-base:13; do
        if docker image inspect "$i" >/dev/null 2>&1; then docker rmi -f "$i" >/dev/null; fi
    done
    ;;
proof) proof ;;
releases) releases ;;
*) die "usage: lab.sh ready|running|down|take-down|clean|proof|releases" ;;
esac
