# shellcheck shell=bash
# The bare root of a distribution, as debootstrap makes it: nothing but its smallest set of packages. For the scripts that
# try something where a newcomer would. Sourced after lib.sh; the scripts set $suite, and $bare, the folder of the root.
# shellcheck disable=SC2154

# enter_own_mounts ARGUMENT...: starts the script again with these arguments as root of its mounts: what is mounted goes with
# this process and is seen by no other.
enter_own_mounts() {
  command -v debootstrap >/dev/null || fail 2 "debootstrap was not found; install it (Debian: debootstrap)."
  ((EUID == 0)) || fail 2 "A root of another distribution is made and entered by root only; run this as root."
  [[ -n ${TUTTI_OWN_MOUNTS:-} ]] || exec env TUTTI_OWN_MOUNTS=yes unshare --mount "$0" "$@"
}

make_root() {
  [[ -e $bare/complete ]] && return
  mkdir -p "$bare"
  # shellcheck disable=SC2086  # no word if there is no mirror
  logged "$bare.log" debootstrap --variant=minbase "$suite" "$bare" ${MIRROR:-}
  touch "$bare/complete"
}

# enter_root: its /proc, /dev and /dev/shm are this machine's; so are the names of hosts and the certificates.
enter_root() {
  local place
  for place in proc dev dev/shm; do mount --bind "/$place" "$bare/$place"; done
  cp /etc/resolv.conf "$bare/etc/resolv.conf"
  [[ ! -r ${SSL_CERT_FILE:-} ]] || cp "$SSL_CERT_FILE" "$bare/etc/host-certificates"
}

# inside COMMAND...: in the root, with nothing of this shell's variables but the proxies.
inside() {
  local variables=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/opt LC_ALL=C.UTF-8)
  mapfile -t -O "${#variables[@]}" variables < <(env | grep -iE '^(https?|no)_proxy=')
  [[ ! -e $bare/etc/host-certificates ]] ||
    variables+=(PIP_CERT=/etc/host-certificates SSL_CERT_FILE=/etc/host-certificates)
  chroot "$bare" /usr/bin/env -i "${variables[@]}" "$@"
}
