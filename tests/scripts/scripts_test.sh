#!/usr/bin/env bash
# Tests of scripts/lib.sh and of the scripts' arguments: each function test_* is one case. They run with stand-ins for
# apt-get, dpkg and pip, in a separate folder, so nothing is installed and no network is used.
# usage: scripts_test.sh CASE
# shellcheck disable=SC2016,SC2317  # stand-ins are text, and functions that others call
set -euo pipefail
source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/lib.sh
source "$source_root/scripts/lib.sh"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/tutti
mkdir -p "$root" "$scratch/bin"

# outcome COMMAND...: runs it in a subshell as a script would; keeps its output in $output and its exit code in $code.
outcome() {
  set +e
  output=$(
    set -e
    trap - EXIT
    "$@" 2>&1
  )
  code=$?
  set -e
}

expect_code() { ((code == $1)) || { say "expected exit code $1, got $code:" "$output" && exit 1; }; }
expect_text() { [[ $output == *"$1"* ]] || { say "expected text: $1" "got: $output" && exit 1; }; }
expect_no_text() { [[ $output != *"$1"* ]] || { say "unexpected text: $1" "got: $output" && exit 1; }; }

# stand_in NAME BODY: a program found first in PATH.
stand_in() {
  printf '#!/bin/bash\n%s\n' "$2" >"$scratch/bin/$1"
  chmod +x "$scratch/bin/$1"
  PATH=$scratch/bin:$PATH
}

os_release() {
  printf 'ID=%s\nVERSION_ID="%s"\n' "$1" "$2" >"$scratch/os-release"
  say "$scratch/os-release"
}

# Everything but the packages named in $absent counts as installed.
absent=
installed() { [[ " $absent " != *" $1 "* ]]; }
root_prefix() { :; }

make_libtorch() {
  mkdir -p "$1/lib" "$1/include/torch/csrc/api/include/torch"
  touch "$1/lib/libtorch_cpu.so" "$1/lib/libc10.so" "$1/include/torch/csrc/api/include/torch/torch.h"
}

# fetch_libtorch replaces pip: it counts its calls and makes the files that pip would make.
fetch_libtorch() {
  say "fetched $1" >>"$scratch/fetches"
  make_libtorch "$2/site/torch"
}
touch "$scratch/fetches"
fetches() { grep -c . "$scratch/fetches" || true; }
check_disk() { :; }

# --- Packages ---------------------------------------------------------------------------------------------------

test_debian_12_gets_boost_1_81_and_ubuntu_24_04_its_own() {
  outcome packages "$(distribution "$(os_release debian 12)")"
  expect_code 0 && expect_text libboost1.81-dev
  outcome packages "$(distribution "$(os_release ubuntu 24.04)")"
  expect_code 0 && expect_text libboost-dev && expect_no_text libboost1.81-dev
}

test_newer_distributions_are_known_by_name() {
  local name
  for name in "debian 13" "ubuntu 26.04"; do
    # shellcheck disable=SC2086  # two words
    outcome packages "$(distribution "$(os_release $name)")"
    expect_code 0 && expect_text libboost-dev && expect_no_text libboost1.81-dev
  done
}

# lists CANDIDATE NAME...: package lists whose libboost-dev has version CANDIDATE, with the names of Boost's other packages.
lists() {
  local candidate=$1
  shift
  stand_in apt-cache "case \$1 in policy) echo '  Candidate: $candidate' ;; pkgnames) printf '%s\\n' $* ;; esac"
}

test_a_relative_of_debian_is_set_up_by_its_package_lists() {
  stand_in apt-get "echo \"apt-get \$*\" >>$scratch/calls"
  absent="ninja-build libboost-dev"
  lists 1.83.0.1 libboost1.83-dev
  say 'ID_LIKE="ubuntu debian"' >>"$(os_release linuxmint 22)"
  CXX=no-such-compiler outcome set_up_packages "$scratch/os-release"
  expect_code 0 && expect_text "This is linuxmint-22; the set-up knows the packages of Debian 12 and 13"
  output=$(<"$scratch/calls")
  expect_text "apt-get install" && expect_text "ninja-build libboost-dev"
}

test_the_newest_boost_of_the_package_lists_is_taken_if_the_usual_one_is_too_old() {
  lists 1.74.0.3 libboost1.74-dev libboost1.81-dev libboost1.100-dev libboost1.81-doc
  outcome boost_package
  expect_code 0
  [[ $output == libboost1.100-dev ]]
  lists 1.74.0.3 libboost1.74-dev
  outcome boost_package
  expect_code 1
  lists "(none)"
  outcome boost_package
  expect_code 1
}

test_a_relative_of_debian_without_a_new_boost_is_told_so() {
  stand_in apt-get :
  lists 1.74.0.3 libboost1.74-dev
  CXX=no-such-compiler outcome set_up_packages "$(os_release debian 11)"
  expect_code 2 && expect_text "  - Boost 1.81 or newer: the package lists have no such libboost-dev"
}

test_a_relative_of_debian_with_all_tools_is_left_alone() {
  stand_in any-compiler 'exit 0'
  stand_in apt-get "touch $scratch/called"
  for tool in cmake ninja pkg-config python3; do stand_in "$tool" :; done
  CXX=any-compiler outcome set_up_packages "$(os_release debian 14)"
  expect_code 0
  [[ -z $output && ! -e $scratch/called ]]
}

test_nothing_is_installed_if_nothing_is_missing() {
  stand_in apt-get 'echo "apt-get was called"; exit 1'
  outcome set_up_packages "$(os_release debian 12)"
  expect_code 0
  [[ -z $output ]]
}

test_only_the_missing_packages_are_installed_and_none_is_removed() {
  stand_in apt-get "echo \"apt-get \$*\" >>$scratch/calls"
  absent="ninja-build libhwloc-dev"
  outcome set_up_packages "$(os_release debian 12)"
  expect_code 0
  output=$(<"$scratch/calls")
  expect_text "apt-get update" && expect_text "ninja-build libhwloc-dev" && expect_text --no-remove
  expect_no_text ccache
}

test_an_old_boost_that_conflicts_is_named_and_not_touched() {
  stand_in apt-get "touch $scratch/called"
  absent="libboost1.81-dev"
  outcome set_up_packages "$(os_release debian 12)"
  expect_code 2 && expect_text "libboost1.74-dev is installed" && expect_text "Nothing was changed"
  [[ ! -e $scratch/called ]]
}

test_without_root_and_sudo_the_command_to_run_is_named() {
  absent="ninja-build"
  root_prefix() { return 1; }
  outcome set_up_packages "$(os_release debian 12)"
  expect_code 2 && expect_text "this is not root, and there is no sudo" && expect_text "apt-get install"
  expect_text ninja-build
}

test_sudo_is_used_by_others_than_root_only() {
  unset -f root_prefix
  source "$source_root/scripts/lib.sh"
  stand_in sudo :
  outcome root_prefix 0
  expect_code 0
  [[ -z $output ]]
  outcome root_prefix 1000 </dev/null
  expect_code 0
  [[ $output == "sudo -n" ]]
}

test_package_lists_that_cannot_be_fetched_are_an_error_with_the_reason() {
  stand_in apt-get 'echo "no route to the mirror" >&2; exit 100'
  absent="ninja-build"
  outcome set_up_packages "$(os_release debian 12)"
  expect_code 1 && expect_text "Could not fetch the package lists" && expect_text "no route to the mirror"
  expect_text "Needed: ninja-build"
}

test_packages_that_cannot_be_installed_are_an_error_with_the_reason() {
  stand_in apt-get '[[ $1 == update ]] || { echo "unmet dependencies" >&2; exit 100; }'
  absent="ninja-build"
  outcome set_up_packages "$(os_release debian 12)"
  expect_code 1 && expect_text "Could not install the packages: ninja-build" && expect_text "unmet dependencies"
}

test_another_distribution_is_told_what_to_install() {
  stand_in no-compiler-with-these-headers 'exit 1'
  CXX=no-compiler-with-these-headers outcome set_up_packages "$(os_release plan9 4)"
  expect_code 2 && expect_text "This is plan9-4" && expect_text "  - Boost 1.81 or newer (Debian: libboost1.81-dev)"
  expect_text "  - hwloc 2 or newer" && expect_no_text "a C++20 compiler"
  CXX=no-such-compiler outcome set_up_packages "$(os_release plan9 4)"
  expect_code 2 && expect_text "a C++20 compiler: g++ 12 or clang 14"
}

test_another_distribution_with_all_tools_continues() {
  stand_in any-compiler 'exit 0'
  for tool in cmake ninja pkg-config python3; do stand_in "$tool" :; done
  CXX=any-compiler outcome set_up_packages "$(os_release plan9 4)"
  expect_code 0
}

test_a_boost_that_is_too_old_counts_as_missing() {
  command -v g++ >/dev/null || exit 77
  mkdir -p "$scratch/old/boost"
  say "#define BOOST_VERSION 107400" >"$scratch/old/boost/version.hpp"
  CPLUS_INCLUDE_PATH=$scratch/old outcome missing_tools
  expect_text "Boost 1.81 or newer"
}

test_what_the_benchmarks_take_is_installed_on_request() {
  stand_in apt-get "echo \"apt-get \$*\" >>$scratch/calls"
  absent="libbenchmark-dev python3-matplotlib"
  outcome set_up_packages "$(os_release debian 12)"
  expect_code 0
  [[ ! -e $scratch/calls ]]
  outcome set_up_bench_packages "$(os_release ubuntu 24.04)"
  expect_code 0
  output=$(<"$scratch/calls")
  expect_text "libbenchmark-dev python3-matplotlib"
  outcome set_up_bench_packages "$(os_release plan9 4)"
  expect_code 2 && expect_text "This is plan9-4" && expect_text "Install Google Benchmark (Debian: libbenchmark-dev)"
}

test_set_up_rejects_arguments_that_it_does_not_know() {
  outcome "$source_root/scripts/setup" --all
  expect_code 2 && expect_text "only takes --bench and --openvino; unknown: --all"
}

# --- LibTorch ---------------------------------------------------------------------------------------------------

test_a_given_libtorch_is_used_as_it_is() {
  make_libtorch "$scratch/given"
  TUTTI_LIBTORCH=$scratch/given
  set_up_libtorch
  [[ $TUTTI_LIBTORCH == "$scratch/given" && ! -e $root/.libtorch && $(fetches) == 0 ]]
}

test_the_lib_folder_of_a_libtorch_names_it_too() {
  make_libtorch "$scratch/given"
  TUTTI_LIBTORCH=$scratch/given/lib
  set_up_libtorch
  [[ $TUTTI_LIBTORCH == "$scratch/given" && $(fetches) == 0 ]]
}

test_a_folder_that_is_not_a_libtorch_is_rejected() {
  TUTTI_LIBTORCH=$scratch/bin outcome set_up_libtorch
  expect_code 2 && expect_text "TUTTI_LIBTORCH=$scratch/bin is not a LibTorch" && expect_text "unset TUTTI_LIBTORCH"
}

test_the_folder_above_a_libtorch_is_corrected() {
  make_libtorch "$scratch/site-packages/torch"
  TUTTI_LIBTORCH=$scratch/site-packages outcome set_up_libtorch
  expect_code 2 && expect_text "set TUTTI_LIBTORCH=$scratch/site-packages/torch"
}

test_libtorch_is_installed_once() {
  unset TUTTI_LIBTORCH
  libtorch_variant() { say light; }
  set_up_libtorch
  unset TUTTI_LIBTORCH
  set_up_libtorch
  [[ $TUTTI_LIBTORCH == "$root/.libtorch/torch" && $(fetches) == 1 && ! -e $root/.libtorch.partial ]]
  is_libtorch "$TUTTI_LIBTORCH"
}

test_what_an_interrupted_installation_left_is_replaced() {
  make_libtorch "$root/.libtorch/torch"
  make_libtorch "$root/.libtorch.partial/site/torch"
  touch "$root/.libtorch.partial/site/half"
  install_libtorch light
  [[ $(fetches) == 1 && ! -e $root/.libtorch/half && -e $root/.libtorch/stamp ]]
}

test_a_failed_installation_leaves_the_old_one() {
  install_libtorch light
  say "torch==1.0 light" >"$root/.libtorch/stamp"
  fetch_libtorch() { fail 1 "no network"; }
  outcome install_libtorch light
  expect_code 1
  is_libtorch "$root/.libtorch/torch"
}

test_a_gpu_that_appears_later_gets_the_full_libtorch_and_keeps_it() {
  install_libtorch light
  install_libtorch full
  install_libtorch light
  [[ $(<"$scratch/fetches") == $'fetched light\nfetched full' ]]
}

test_a_fetch_that_fails_names_what_was_wanted_and_the_way_round() {
  unset -f fetch_libtorch
  source "$source_root/scripts/lib.sh"
  root=$scratch/tutti
  # A venv whose pip has no network.
  stand_in python3 'mkdir -p "$3/bin"; printf "#!/bin/bash\necho name resolution failed; exit 1\n" >"$3/bin/pip"; chmod +x "$3/bin/pip"'
  outcome fetch_libtorch light "$scratch/partial"
  expect_code 1 && expect_text "Could not fetch LibTorch: torch==" && expect_text "nvidia-cuda-runtime=="
  expect_text "TUTTI_LIBTORCH" && expect_text "name resolution failed"
  [[ ! -e $scratch/partial ]]
}

test_a_python_without_venv_is_named() {
  unset -f fetch_libtorch
  source "$source_root/scripts/lib.sh"
  root=$scratch/tutti
  stand_in python3 'echo "No module named venv" >&2; exit 1'
  outcome fetch_libtorch light "$scratch/partial"
  expect_code 1 && expect_text "is Python's venv module installed?" && expect_text "No module named venv"
}

test_wheels_without_libtorch_are_an_error() {
  fetch_libtorch() { mkdir -p "$2/site/torch"; }
  outcome install_libtorch light
  expect_code 1 && expect_text "has no LibTorch"
  [[ ! -e $root/.libtorch ]]
}

test_too_little_disk_is_said_before_anything_is_fetched() {
  unset -f check_disk
  source "$source_root/scripts/lib.sh"
  outcome check_disk "$scratch" 999999999
  expect_code 1 && expect_text "needs 999999999 MB of disk" && expect_text "TUTTI_LIBTORCH"
  outcome check_disk "$scratch" 0
  expect_code 0
}

# --- OpenVINO -----------------------------------------------------------------------------------------------------

# What set_up_openvino needs of the tree, and what pip would make.
with_openvino() {
  unset TUTTI_OPENVINO
  mkdir -p "$root/tests/python"
  say openvino==1.0 >"$root/tests/python/requirements.txt"
  fetch_openvino() {
    say "fetched $1" >>"$scratch/fetches"
    mkdir -p "$2/site/openvino/libs"
    touch "$2/site/openvino/libs/libopenvino_c.so.1"
  }
}

test_openvino_is_installed_once_for_each_version() {
  with_openvino
  set_up_openvino
  unset TUTTI_OPENVINO
  set_up_openvino
  [[ $TUTTI_OPENVINO == "$root/.openvino/openvino" && $(fetches) == 1 && ! -e $root/.openvino.partial ]]
  unset TUTTI_OPENVINO
  say openvino==2.0 >"$root/tests/python/requirements.txt"
  set_up_openvino
  [[ $(<"$scratch/fetches") == $'fetched openvino==1.0\nfetched openvino==2.0' && ! -e $root/.openvino.partial ]]
}

test_an_openvino_that_is_named_is_used_as_it_is() {
  with_openvino
  TUTTI_OPENVINO=$scratch/given
  set_up_openvino
  [[ $TUTTI_OPENVINO == "$scratch/given" && $(fetches) == 0 ]]
}

test_a_wheel_without_openvino_is_an_error_and_leaves_the_old_one() {
  with_openvino
  set_up_openvino
  unset TUTTI_OPENVINO
  say openvino==2.0 >"$root/tests/python/requirements.txt"
  fetch_openvino() { mkdir -p "$2/site/openvino"; }
  outcome set_up_openvino
  expect_code 1 && expect_text "openvino==2.0 was installed, but has no libopenvino_c.so"
  is_openvino "$root/.openvino/openvino"
}

test_a_fetch_of_openvino_that_fails_names_what_was_wanted() {
  # A venv whose pip has no network.
  stand_in python3 'mkdir -p "$3/bin"; printf "#!/bin/bash\necho name resolution failed; exit 1\n" >"$3/bin/pip"; chmod +x "$3/bin/pip"'
  outcome fetch_openvino openvino==1.0 "$scratch/partial"
  expect_code 1 && expect_text "Could not fetch OpenVINO: openvino==1.0" && expect_text "set TUTTI_OPENVINO"
  expect_text "name resolution failed"
  [[ ! -e $scratch/partial ]]
}

# --- Steps and arguments -----------------------------------------------------------------------------------------

test_a_failing_command_shows_the_end_of_its_log() {
  noisy() {
    seq 100
    return 3
  }
  outcome logged "$scratch/a.log" noisy
  expect_code 3 && expect_text "noisy ended with exit code 3" && expect_text "$scratch/a.log" && expect_text 100
  expect_no_text $'\n60\n'
}

test_a_step_ends_at_the_first_command_that_fails_and_says_so() {
  failing() {
    false
    say "went on"
  }
  set +e
  output=$(
    set -e
    exec 2>&1
    step "some step" failing
  )
  code=$?
  set -e
  expect_code 1 && expect_text "== some step failed after" && expect_no_text "went on"
}

test_scripts_explain_themselves() {
  local script
  for script in setup demo demo-mixed demo-segmentation test fuzz model-check abi reference check-deb check-distribution \
    wheel check-wheel debian-python; do
    outcome "$source_root/scripts/$script" --help
    expect_code 0 && expect_text "usage: scripts/$script"
  done
}

test_unknown_arguments_are_rejected() {
  local script
  for script in setup demo demo-mixed demo-segmentation; do
    outcome "$source_root/scripts/$script" --frobnicate
    expect_code 2 && expect_text "unknown: --frobnicate"
  done
}

test_scripts_about_wheels_reject_what_they_do_not_take() {
  outcome "$source_root/scripts/wheel" --frobnicate
  expect_code 2 && expect_text "scripts/wheel takes interpreters of Python"
  stand_in old-python 'echo Python 2.7 >&2; exit 1'
  outcome "$source_root/scripts/wheel" old-python
  expect_code 2 && expect_text "'old-python' is not an interpreter of CPython 3.11 or later."
  outcome "$source_root/scripts/debian-python" bookworm
  expect_code 2 && expect_text "scripts/debian-python takes no arguments"
  outcome "$source_root/scripts/check-wheel" --frobnicate
  expect_code 2 && expect_text "scripts/check-wheel takes --torch and the name of a suite"
  outcome "$source_root/scripts/check-wheel" trixie --torch
  expect_code 2 && expect_text "scripts/check-wheel takes one suite, and --torch before it"
  copy_scripts
  outcome "$copy/scripts/check-wheel" trixie
  expect_code 2 && expect_text "There is no wheel in dist/; make it with scripts/wheel."
}

test_wheels_are_made_only_where_packages_tell_their_licences() {
  local tool
  mkdir "$scratch/no-tools"
  for tool in bash dirname env getconf; do ln -s "$(command -v "$tool")" "$scratch/no-tools"; done
  stand_in python3.11 'echo 11'
  stand_in python3.12 'echo 12'
  PATH=$scratch/bin:$scratch/no-tools outcome "$source_root/scripts/wheel"
  expect_code 2 && expect_text "there is no dpkg-query here"
}

test_scripts_about_the_interface_reject_unknown_arguments() {
  outcome "$source_root/scripts/abi" compare
  expect_code 2 && expect_text "scripts/abi takes check or write"
  outcome "$source_root/scripts/reference" --frobnicate
  expect_code 2 && expect_text "scripts/reference takes folders"
  outcome "$source_root/scripts/check-deb" --frobnicate
  expect_code 2 && expect_text "scripts/check-deb takes --libtorch and a folder"
}

test_without_their_tools_the_checks_of_the_interface_are_skipped_with_the_reason() {
  local empty=$scratch/no-tools tool
  mkdir -p "$empty"
  for tool in bash dirname mktemp rm env; do ln -s "$(command -v "$tool")" "$empty/$tool"; done
  PATH=$empty outcome "$source_root/scripts/abi" check
  expect_code 77 && expect_text "SKIPPED: there is no abidiff here (Debian: abigail-tools)"
  PATH=$empty outcome "$source_root/scripts/reference"
  expect_code 77 && expect_text "SKIPPED: there is no doxygen here (Debian: doxygen)"
}

# copy_scripts: copies the scripts into a separate tree, so that their files stay there.
copy_scripts() {
  copy=$scratch/copy
  mkdir -p "$copy/tests/fuzz/corpus/ring" "$copy/tests/model" "$copy/build/asan/tests"
  cp -r "$source_root/scripts" "$copy"
  cp "$source_root/tests/fuzz/CMakeLists.txt" "$copy/tests/fuzz"
  cp "$source_root/tests/model/channel.pml" "$copy/tests/model"
}

test_fuzzing_rejects_harnesses_and_times_that_do_not_exist() {
  outcome "$source_root/scripts/fuzz" rings
  expect_code 2 && expect_text "There is no harness 'rings'; there are: archive cifar10 control images index journal ledger npy onnx ring rows safetensors table yaml"
  outcome "$source_root/scripts/fuzz" --seconds 0
  expect_code 2 && expect_text "--seconds takes a whole number above 0, not '0'"
  outcome "$source_root/scripts/fuzz" --seed x
  expect_code 2 && expect_text "--seed takes a whole number above 0, not 'x'"
}

test_an_input_that_fuzzing_finds_is_kept_and_said() {
  copy_scripts
  stand_in cmake 'exit 0'
  stand_in clang++ 'exit 0'
  printf '%s\n' '#!/bin/bash' 'for a in "$@"; do [[ $a != -artifact_prefix=* ]] || echo x >"${a#*=}crash-1"; done' \
    'echo "#9 NEW cov: 60 ft: 1"' 'echo "stat::number_of_executed_units: 9"' 'echo "does not hold: a ring"' 'exit 77' \
    >"$copy/build/asan/tests/fuzz-ring"
  chmod +x "$copy/build/asan/tests/fuzz-ring"
  outcome "$copy/scripts/fuzz" --seconds 1 ring
  expect_code 1 && expect_text "ring: 9 executions, 60 edges" && expect_text "does not hold: a ring"
  expect_text "ring failed (exit code 77)" && expect_text "failed: ring"
  expect_text "Once more: build/asan/tests/fuzz-ring $copy/build/fuzz/found/ring-crash-1"
  [[ -e $copy/build/fuzz/found/ring-crash-1 ]]
}

# found ERRORS: the model checker with a stand-in for SPIN, whose searches all find so many errors.
found() {
  copy_scripts
  stand_in spin 'exit 0'
  stand_in cc "echo 'echo pan:1: invalid end state; echo x, errors: $1; echo 5 states, stored' >pan; chmod +x pan"
  outcome "$copy/scripts/model-check"
}

test_an_error_that_the_model_checker_finds_is_said_with_its_steps() {
  found 1
  expect_code 1 && expect_text "four tasks, two slots: SPIN found an error: pan:1: invalid end state"
  expect_text "Its steps: cd $copy/build/model/plain && spin" && expect_no_text BROKEN
}

test_a_mistake_that_the_model_checker_misses_is_an_error() {
  found 0
  expect_code 1 && expect_text "four tasks, two slots: holds in 5 states"
  expect_text "BROKEN_BELL_BEFORE_PUSH: SPIN does not find this mistake"
}

test_model_checking_takes_no_arguments() {
  outcome "$source_root/scripts/model-check" fast
  expect_code 2 && expect_text "takes no arguments"
}

test_jobs_follow_the_variable() {
  [[ $(TUTTI_JOBS=7 jobs) == 7 ]]
  (($(jobs) >= 1 && $(jobs) <= $(nproc)))
}

test_the_maintainer_of_a_debian_package_has_a_name_and_an_address() {
  contact() {
    outcome cmake "$@" -P "$source_root/cmake/TuttiContact.cmake"
    output=$(tr -s ' \n' ' ' <<<"$output")  # CMake fills the lines
  }
  contact && expect_code 0
  contact -DCPACK_PACKAGE_CONTACT= && expect_code 0
  contact "-DCPACK_PACKAGE_CONTACT=A. Name <a@example.org>" -DCPACK_PACKAGE_HOMEPAGE_URL=https://example.org
  expect_code 0
  for wrong in "A. Name" a@example.org "<a@example.org>" "A. Name <example.org>"; do
    contact "-DCPACK_PACKAGE_CONTACT=$wrong"
    expect_code 1 && expect_text "CPACK_PACKAGE_CONTACT is '$wrong'" && expect_text "'Name <name@example.org>'"
  done
  contact -DCPACK_PACKAGE_HOMEPAGE_URL=example.org
  expect_code 1 && expect_text "CPACK_PACKAGE_HOMEPAGE_URL is 'example.org'"
}

test_each_line_that_the_mutations_name_is_there_once() {
  "$source_root/scripts/mutate" --check
}

"$1"
