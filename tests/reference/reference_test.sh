#!/usr/bin/env bash
# usage: reference_test.sh CASE
# Runs scripts/reference over the public headers, or over a copy in which a comment is missing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -r "$root/include/tutti" "$scratch/tutti"

# without FILE LINE EXPECTED: takes the line, a comment, out of the file.
without() {
  local before after code=0 output
  before=$(wc -l <"$scratch/tutti/$1")
  grep -vxF -- "$2" "$root/include/tutti/$1" >"$scratch/tutti/$1"
  after=$(wc -l <"$scratch/tutti/$1")
  ((before == after + 1)) || { echo "not one line of $1: $2" && exit 1; }
  output=$("$root/scripts/reference" "$scratch/out" "$scratch/tutti" 2>&1) || code=$?
  echo "$output"
  ((code != 77)) || exit 77
  ((code == 1)) && [[ $output == *"$3"*"is not documented"* ]]
}

case $1 in
  all_names_have_comments) "$root/scripts/reference" "$scratch/out" ;;
  a_function_without_one_is_found) without ensemble.hpp "  /// A copy of the state of now." "Member status(" ;;
  a_field_without_one_is_found) without submit.hpp "/// Settings of one submission." "tutti::SubmitOptions" ;;
  a_C_function_without_one_is_found) without tutti.h "/** Frees a text. */" "tutti_text_free" ;;
esac
