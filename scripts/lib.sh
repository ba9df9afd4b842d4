# shellcheck shell=bash
# Functions that scripts/setup, scripts/demo, scripts/test and .ci/run share. Sourced, never run; sourcing it only defines
# functions and variables.
#
# Some functions take a file or a command's output as an argument, so that tests/scripts can pass another one.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The packages of the light installation of LibTorch: the versions are those that this torch requires.
torch_requirement=torch==2.11.0
torch_cuda_requirements=(nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)

say() { printf "%s\n" "$@"; }

# fail CODE LINE...: prints what is wrong and what to do, and exits with CODE (1 broken environment, 2 wrong usage).
fail() {
  local code=$1
  shift
  printf '%s\n' "$@" >&2
  exit "$code"
}

# cpu_seconds: what this script's commands have used so far, in hundredths.
cpu_hundredths() {
  local fields
  read -ra fields </proc/$$/stat
  say "$(((fields[15] + fields[16]) * 100 / $(getconf CLK_TCK)))"
}

# step NAME COMMAND...: runs one step of a script and says how long it took. The command is called plainly, not as a
# condition, since Bash would ignore `set -e` inside it then; hence the trap, which speaks if it does not return.
steps=()
step() {
  current_step=$1
  step_start=$SECONDS
  step_cpu=$(cpu_hundredths)
  shift
  trap 'say "== $current_step failed after $((SECONDS - step_start)) s" >&2' EXIT
  say "== $current_step"
  "$@"
  local seconds=$((SECONDS - step_start)) cpu=$((($(cpu_hundredths) - step_cpu) / 100))
  steps+=("$seconds|$cpu|$current_step")
  say "== $current_step: $seconds s"
  trap - EXIT
}

# steps_table: the steps so far, with their seconds and the seconds of all processors together.
steps_table() {
  local row seconds cpu name
  printf '%8s %8s  %s\n' seconds CPU step
  for row in "${steps[@]}"; do
    IFS='|' read -r seconds cpu name <<<"$row"
    printf '%8d %8d  %s\n' "$seconds" "$cpu" "$name"
  done
}

# skipped_tests BUILD_FOLDER: which tests the last ctest there skipped, counted by the reason that they give.
skipped_tests() {
  local log=$1/Testing/Temporary/LastTest.log
  [[ -r $log ]] || return 0
  { grep -ahoE 'SKIPPED: .*' "$log" || true; } | sed 's/^SKIPPED: *//' | sort | uniq -c | sort -rn |
    sed 's/^ *\([0-9]*\) /  skipped \1: /'
}

# logged LOG COMMAND...: keeps what a command prints in a file, and shows its end where the command fails.
logged() {
  local log=$1 code=0
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 </dev/null || code=$?
  ((code == 0)) && return
  say "$1 ended with exit code $code; the last lines of $log:" >&2
  tail -n 40 "$log" >&2
  return "$code"
}

# How many compilers may run at once: one per core, but no more than fit into memory (a file that includes LibTorch's
# headers takes up to 2 GB to compile). TUTTI_JOBS overrides it.
jobs() {
  local cores by_memory
  cores=$(nproc)
  by_memory=$(awk '/^MemAvailable:/ { print int($2 / 2000000) }' /proc/meminfo)
  ((by_memory >= 1)) || by_memory=1
  say "${TUTTI_JOBS:-$((cores < by_memory ? cores : by_memory))}"
}

# How many tests run at once: they wait a third of their time, for processes, deadlines and delays.
test_jobs() { say "$(($(nproc) + 1))"; }

# --- Packages of the distribution ---------------------------------------------------------------------------------

# distribution OS_RELEASE_FILE: "debian-12", "ubuntu-24.04"; "unknown" if the file does not name it.
distribution() {
  if [[ -r $1 ]]; then
    # shellcheck source=/dev/null
    (. "$1" && say "${ID:-unknown}-${VERSION_ID:-}")
  else
    say unknown
  fi
}

# debian_family OS_RELEASE_FILE: whether it has apt-get and Debian's names of packages, as Debian's and Ubuntu's relatives.
debian_family() {
  [[ -r $1 ]] || return 1
  # shellcheck source=/dev/null
  [[ " $(. "$1" && say "${ID:-} ${ID_LIKE:-}") " =~ " "(debian|ubuntu)" " ]]
}

# All but Boost, whose package has its version in its name where the distribution's own is too old.
common_packages="g++ cmake ninja-build ccache pkg-config git ca-certificates python3 python3-venv python3-dev libyaml-cpp-dev
  doctest-dev libcli11-dev libspdlog-dev libfmt-dev libhwloc-dev
  libjpeg-dev libpng-dev libwebp-dev libtiff-dev libstb-dev libminizip-dev libutf8proc-dev patchelf"
known_distributions="Debian 12 and 13, Ubuntu 24.04 and 26.04"

# packages DISTRIBUTION: the packages that building Tutti needs there; fails for a distribution that it does not know.
packages() {
  case $1 in
    debian-12) say "$common_packages libboost1.81-dev" ;;
    debian-13 | ubuntu-24.04 | ubuntu-26.04) say "$common_packages libboost-dev" ;;
    *) return 1 ;;
  esac
}

# boost_package: the package with Boost 1.81 or newer, by the package lists: the distribution's own version if it is new
# enough, else the newest that has its version in its name. Fails if there is none.
boost_package() {
  local version
  version=$(apt-cache policy libboost-dev | awk '$1 == "Candidate:" { print $2 }')
  if [[ -n $version && $version != "(none)" ]] && dpkg --compare-versions "$version" ge 1.81; then
    say libboost-dev
    return
  fi
  version=$(apt-cache pkgnames libboost1. | sed -n 's/^libboost\(1\.[0-9]*\)-dev$/\1/p' | sort -V | tail -n 1)
  [[ -n $version ]] && dpkg --compare-versions "$version" ge 1.81 && say "libboost$version-dev"
}

# installed PACKAGE: whether dpkg has it.
installed() { [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == "install ok installed" ]]; }

# root_prefix USER_ID: the prefix with which a command runs as root: none, or sudo's. Without a terminal sudo must not
# ask for a password.
root_prefix() {
  if (($1 == 0)); then
    return
  elif ! command -v sudo >/dev/null; then
    return 1
  elif [[ -t 0 ]]; then
    say sudo
  else
    say "sudo -n"
  fi
}

# fetch_package_lists PREFIX PACKAGE...: the packages are what the lists are needed for.
fetch_package_lists() {
  local prefix=$1
  shift
  # shellcheck disable=SC2086  # the prefix is a list of words
  logged "$root/build/packages.log" $prefix apt-get update -q ||
    fail 1 "Could not fetch the package lists; is there a network connection? Needed: $*"
}

# install_packages PACKAGE...: installs those that are missing, and changes nothing if none is.
install_packages() {
  local package prefix missing=() log=$root/build/packages.log
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if [[ " ${missing[*]} " == *" libboost1.81-dev "* ]] && installed libboost1.74-dev; then
    fail 2 "Tutti needs Boost 1.81, but libboost1.74-dev is installed, and Debian allows only one of them." \
      "Nothing was changed. If nothing else here needs Boost 1.74, replace it and start again:" \
      "  apt-get install libboost1.81-dev"
  fi
  prefix=$(root_prefix "$EUID") ||
    fail 2 "Packages are missing, this is not root, and there is no sudo. Run as root, then start again:" \
      "  apt-get install --no-install-recommends ${missing[*]}"
  say "installing ${missing[*]}"
  fetch_package_lists "$prefix" "${missing[@]}"
  # --no-remove: setting up Tutti never removes a package.
  # shellcheck disable=SC2086
  logged "$log" $prefix env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-remove \
    "${missing[@]}" || fail 1 "Could not install the packages: ${missing[*]}"
}

# missing_tools: the tools for building that are missing, one per line, for distributions with unknown package names.
missing_tools() {
  local tool header line headers compiler=${CXX:-g++}
  local probe=$'#if defined(BOOST_VERSION) && BOOST_VERSION < 108100\n#error too old\n#endif'
  if ! command -v "$compiler" >/dev/null; then
    say "a C++20 compiler: g++ 12 or clang 14, or newer (Debian: g++)"
    compiler=
  fi
  for tool in "cmake 3.25 or newer (Debian: cmake)" "ninja (Debian: ninja-build)" "pkg-config (Debian: pkg-config)" \
    "python3 with its venv module (Debian: python3 python3-venv)"; do
    command -v "${tool%% *}" >/dev/null || say "$tool"
  done
  headers="boost/version.hpp|Boost 1.81 or newer (Debian: libboost1.81-dev)
yaml-cpp/yaml.h|yaml-cpp 0.7 or newer (Debian: libyaml-cpp-dev)
doctest/doctest.h|doctest 2.4 or newer (Debian: doctest-dev)
CLI/CLI.hpp|CLI11 2.1 or newer (Debian: libcli11-dev)
spdlog/version.h|spdlog 1.10 or newer (Debian: libspdlog-dev)
fmt/format.h|fmt 9 or newer (Debian: libfmt-dev)
hwloc.h|hwloc 2 or newer (Debian: libhwloc-dev)
jerror.h|libjpeg-turbo 2 or newer (Debian: libjpeg-dev)
png.h|libpng 1.6 or newer (Debian: libpng-dev)
utf8proc.h|utf8proc 2.6 or newer (Debian: libutf8proc-dev)"
  while IFS='|' read -r header line; do
    if [[ -z $compiler ]] || ! "$compiler" -fsyntax-only -x c++ -include "$header" - >/dev/null 2>&1 <<<"$probe"; then
      say "$line"
    fi
  done <<<"$headers"
}

# set_up_packages OS_RELEASE_FILE: everything that building needs from the distribution.
set_up_packages() {
  local name list missing prefix
  name=$(distribution "$1")
  if list=$(packages "$name"); then
    # shellcheck disable=SC2086  # a list of words
    install_packages $list
    return
  fi
  missing=$(missing_tools)
  [[ -n $missing ]] || return 0
  if debian_family "$1"; then
    say "This is $name; the set-up knows the packages of $known_distributions. Asking the package lists."
    if prefix=$(root_prefix "$EUID"); then
      fetch_package_lists "$prefix" "$common_packages"
      # shellcheck disable=SC2086
      ! list=$(boost_package) || { install_packages $common_packages "$list" && return; }
      missing="Boost 1.81 or newer: the package lists have no such libboost-dev"
    fi
  fi
  fail 2 "This is $name; the set-up knows the packages of $known_distributions only." \
    "Install these, then start again:" "  - ${missing//$'\n'/$'\n'  - }"
}

# set_up_bench_packages OS_RELEASE_FILE: what only measuring needs: Google Benchmark, and matplotlib for the report.
set_up_bench_packages() {
  packages "$(distribution "$1")" >/dev/null || debian_family "$1" ||
    fail 2 "This is $(distribution "$1"); the set-up knows the packages of $known_distributions only." \
      "Install Google Benchmark (Debian: libbenchmark-dev) and matplotlib (Debian: python3-matplotlib)."
  install_packages libbenchmark-dev python3-matplotlib
}

# set_up_check_packages: what compares the ABI of the C API and reads the comments of the public headers, and two shells
# whose completion is tried (14 MB). Their tests are skipped without it, so an unknown distribution is not an error.
set_up_check_packages() { ! debian_family /etc/os-release || install_packages abigail-tools doxygen fish zsh; }

# --- LibTorch -----------------------------------------------------------------------------------------------------

# is_libtorch FOLDER: whether it is a wheel's torch/ folder or an unpacked LibTorch.
is_libtorch() {
  [[ -e $1/lib/libtorch_cpu.so && -e $1/lib/libc10.so && -e $1/include/torch/csrc/api/include/torch/torch.h ]]
}

# check_given_libtorch FOLDER: exits with a message if TUTTI_LIBTORCH does not name a LibTorch.
check_given_libtorch() {
  local inner
  is_libtorch "$1" && return
  for inner in "$1/torch" "$1/libtorch"; do
    ! is_libtorch "$inner" || fail 2 "TUTTI_LIBTORCH=$1 is the folder above a LibTorch; set TUTTI_LIBTORCH=$inner"
  done
  fail 2 "TUTTI_LIBTORCH=$1 is not a LibTorch: lib/libtorch_cpu.so, lib/libc10.so or the C++ headers are missing in it." \
    "Name a pip wheel's torch/ folder or an unpacked LibTorch, or unset TUTTI_LIBTORCH to have one installed here."
}

# libtorch_variant: "full" if an NVIDIA driver is loaded, else "light" (CPU only: without the CUDA libraries that
# only GPU code needs, a third of the size).
libtorch_variant() {
  if [[ -e /proc/driver/nvidia/version ]] || { command -v nvidia-smi && nvidia-smi -L; } >/dev/null 2>&1; then
    say full
  else
    say light
  fi
}

# check_disk FOLDER MEGABYTES: exits with a message if less is free.
check_disk() {
  local free
  free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
  ((free >= $2)) || fail 1 "Installing LibTorch needs $2 MB of disk, and $1 has $free MB left." \
    "Make room, or set TUTTI_LIBTORCH to an existing LibTorch."
}

# fetch_libtorch VARIANT FOLDER: installs the wheels into FOLDER/site with a separate Python environment, since
# distributions forbid pip outside one. pip's temporary files are in FOLDER too: /tmp is often a small memory disk.
fetch_libtorch() {
  local variant=$1 folder=$2 requirements=("$torch_requirement") options=()
  if [[ $variant == light ]]; then
    options=(--no-deps)
    requirements+=("${torch_cuda_requirements[@]}")
  fi
  mkdir -p "$folder/tmp"
  logged "$root/build/libtorch.log" python3 -m venv "$folder/venv" ||
    fail 1 "Could not make a Python environment; is Python's venv module installed?"
  TMPDIR=$folder/tmp logged "$root/build/libtorch.log" "$folder/venv/bin/pip" install --no-cache-dir \
    --disable-pip-version-check --progress-bar off --target "$folder/site" "${options[@]}" "${requirements[@]}" || {
    rm -rf "$folder"
    fail 1 "Could not fetch LibTorch: ${requirements[*]}" \
    "Is there a network connection? Otherwise set TUTTI_LIBTORCH to an existing LibTorch: a pip wheel's torch/" \
      "folder or an unpacked LibTorch."
  }
}

# install_libtorch VARIANT: puts LibTorch into .libtorch/ in one step, so that an interrupted run leaves nothing that
# looks finished, and two runs at once do not disturb each other.
install_libtorch() {
  local variant=$1 target=$root/.libtorch partial=$root/.libtorch.partial megabytes=2600
  local stamp="$torch_requirement $variant"
  [[ $variant == light ]] || megabytes=9000
  exec 9<"$root"
  flock 9
  # The full variant works on a machine without a GPU too, so its stamp is accepted for both.
  if [[ -r $target/stamp && ($(<"$target/stamp") == "$stamp" || $(<"$target/stamp") == "$torch_requirement full") ]]; then
    exec 9<&-
    return 0
  fi
  rm -rf "$partial"
  check_disk "$root" "$megabytes"
  say "installing LibTorch ($stamp) into .libtorch"
  fetch_libtorch "$variant" "$partial"
  is_libtorch "$partial/site/torch" || fail 1 "$torch_requirement was installed, but has no LibTorch"
  say "$stamp" >"$partial/site/stamp"
  [[ ! -e $target ]] || mv "$target" "$partial/old"
  mv "$partial/site" "$target"
  rm -rf "$partial"
  exec 9<&-
}

# set_up_libtorch: exports TUTTI_LIBTORCH, the path of an installed LibTorch.
set_up_libtorch() {
  if [[ -n ${TUTTI_LIBTORCH:-} ]]; then
    [[ ! -e $TUTTI_LIBTORCH/libc10.so ]] || TUTTI_LIBTORCH=$(dirname "$TUTTI_LIBTORCH")  # its lib/ was named
    check_given_libtorch "$TUTTI_LIBTORCH"
  else
    install_libtorch "$(libtorch_variant)"
    TUTTI_LIBTORCH=$root/.libtorch/torch
  fi
  export TUTTI_LIBTORCH
}

# --- OpenVINO -----------------------------------------------------------------------------------------------------

# is_openvino FOLDER: whether it is the folder of the Python package, with the library that workers open.
is_openvino() { compgen -G "$1/libs/libopenvino_c.so*" >/dev/null; }

# fetch_openvino REQUIREMENT FOLDER: installs the wheel into FOLDER/site. Workers open its libraries alone, so what the
# package requires for Python is left out.
fetch_openvino() {
  local log=$root/build/openvino.log
  logged "$log" python3 -m venv "$2/venv" ||
    fail 1 "Could not make a Python environment; is Python's venv module installed?"
  logged "$log" "$2/venv/bin/pip" install --no-cache-dir --disable-pip-version-check --progress-bar off --no-deps \
    --target "$2/site" "$1" || {
    rm -rf "$2"
    fail 1 "Could not fetch OpenVINO: $1" \
      "Is there a network connection? Otherwise set TUTTI_OPENVINO to an OpenVINO that is there."
  }
}

# set_up_openvino: exports TUTTI_OPENVINO: what it names already, or the version of the tests in .openvino/, which is put
# there in one step.
set_up_openvino() {
  local target=$root/.openvino partial=$root/.openvino.partial requirement
  if [[ -n ${TUTTI_OPENVINO:-} ]]; then
    say "TUTTI_OPENVINO is set, so nothing is fetched"
    return
  fi
  requirement=$(grep '^openvino' "$root/tests/python/requirements.txt")
  exec 9<"$root"
  flock 9
  if [[ ! -r $target/stamp || $(<"$target/stamp") != "$requirement" ]]; then
    rm -rf "$partial"
    mkdir -p "$partial"
    say "installing OpenVINO ($requirement) into .openvino"
    fetch_openvino "$requirement" "$partial"
    is_openvino "$partial/site/openvino" || fail 1 "$requirement was installed, but has no libopenvino_c.so"
    say "$requirement" >"$partial/site/stamp"
    [[ ! -e $target ]] || mv "$target" "$partial/old"
    mv "$partial/site" "$target"
    rm -rf "$partial"
  fi
  exec 9<&-
  export TUTTI_OPENVINO=$target/openvino
}

# --- Python for the tests -----------------------------------------------------------------------------------------

# What the tests compare pictures with: the version that belongs to torch_requirement, without that torch.
torchvision_requirement=torchvision==0.26.0

# What loading torch's Python side takes besides LibTorch, if no CUDA is installed: named by torch's own metadata.
torch_python_requirements=(nvidia-cufile nvidia-cusparselt-cu13==0.8.0 nvidia-nvshmem-cu13==3.4.5)
torch_all_requirements=('cuda-toolkit[cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx]==13.0.2'
  nvidia-cudnn-cu13==9.19.0.56 nvidia-nccl-cu13==2.28.9 "${torch_python_requirements[@]}")

# write_test_python FOLDER: the interpreter that the tests call: that of FOLDER/venv, with the torch of TUTTI_LIBTORCH.
write_test_python() {
  mkdir -p "$1/bin"
  cat >"$1/bin/python" <<'END'
#!/bin/sh
folder=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH=$(dirname "${TUTTI_LIBTORCH:?set it to a torch/ folder}")
LD_LIBRARY_PATH=$(printf '%s:' "$folder"/nvidia/nvidia/*/lib)
export PYTHONPATH LD_LIBRARY_PATH
exec "$folder/venv/bin/python" "$@"
END
  chmod +x "$1/bin/python"
}

# fetch_test_python FOLDER: an environment with all that tests/python compares with.
fetch_test_python() {
  local folder=$1 log=$root/build/python.log pip=(install --disable-pip-version-check --progress-bar off)
  logged "$log" python3 -m venv "$folder/venv" ||
    fail 1 "A Python environment could not be made; is Python's venv module installed?"
  logged "$log" "$folder/venv/bin/pip" "${pip[@]}" -r "$root/tests/python/requirements.txt" &&
    logged "$log" "$folder/venv/bin/pip" "${pip[@]}" --no-deps "$torchvision_requirement" &&
    logged "$log" "$folder/venv/bin/pip" "${pip[@]}" --no-deps --target "$folder/nvidia" "${torch_python_requirements[@]}" ||
    fail 1 "The packages of tests/python/requirements.txt could not be fetched; is the network there?"
  write_test_python "$folder"
  "$folder/bin/python" -c 'import torch' 2>/dev/null && return
  rm -rf "$folder/nvidia"  # pip would not add to a folder that is there
  logged "$log" "$folder/venv/bin/pip" "${pip[@]}" --target "$folder/nvidia" "${torch_all_requirements[@]}" &&
    logged "$log" "$folder/bin/python" -c 'import torch' ||
    fail 1 "The torch in $TUTTI_LIBTORCH cannot be imported by Python; see $log"
}

# set_up_test_python: exports TUTTI_PYTHON, an interpreter with torch and transformers, unless the caller names one. The
# environment is kept in the user's cache (some 1 GB) and made again only if the requirements change.
set_up_test_python() {
  [[ -z ${TUTTI_PYTHON:-} ]] || return 0
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/tutti key folder
  key=$({ python3 --version && cat "$root/tests/python/requirements.txt" &&
    say "$torchvision_requirement" "${torch_all_requirements[@]}"; } |
    sha256sum | cut -c1-12)
  folder=$cache/python-$key
  if [[ ! -e $folder/complete ]]; then
    say "making a Python with torch and transformers for the tests: $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    fetch_test_python "$folder"
    touch "$folder/complete"
  fi
  export TUTTI_PYTHON=$folder/bin/python
  local onnxruntime=("$folder"/venv/lib/python3*/site-packages/onnxruntime)
  export TUTTI_ONNXRUNTIME=${TUTTI_ONNXRUNTIME:-${onnxruntime[0]}}
  local openvino=("$folder"/venv/lib/python3*/site-packages/openvino)
  export TUTTI_OPENVINO=${TUTTI_OPENVINO:-${openvino[0]}}
}

# --- All of it ----------------------------------------------------------------------------------------------------

set_up() {
  [[ $(uname -sm) == "Linux x86_64" ]] || fail 2 "Tutti runs on Linux x86-64; this is $(uname -sm)."
  set_up_packages /etc/os-release
  set_up_libtorch
}

# configure PRESET ARGUMENT...: quiet; the log is in the build folder.
configure() {
  local preset=$1
  shift
  logged "$root/build/$preset/configure.log" cmake -S "$root" --preset "$preset" "$@"
}

# build PRESET TARGET...: quiet; the log is in the build folder.
build() {
  local preset=$1
  shift
  logged "$root/build/$preset/build.log" cmake --build "$root/build/$preset" --parallel "$(jobs)" --target "$@"
}
