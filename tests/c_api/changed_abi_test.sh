#!/usr/bin/env bash
# usage: changed_abi_test.sh added|broken HEADER SCRIPT
# scripts/abi must refuse a header with another function, or with a field less.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case $1 in
  added)
    sed 's/^TUTTI_C_API uint32_t tutti_abi(void);/&\nTUTTI_C_API int tutti_new(int x);/' "$2" >"$scratch/tutti.h"
    expected="1 Added function"
    ;;
  broken)
    sed '/^  uint32_t height; /d' "$2" >"$scratch/tutti.h"
    expected="type size changed from 320 to 256"
    ;;
esac
! cmp -s "$2" "$scratch/tutti.h" || { echo "nothing was changed" && exit 1; }
code=0
output=$("$3" check "$scratch/tutti.h" 2>&1) || code=$?
echo "$output"
((code == 1)) && [[ $output == *"$expected"*"The interface has changed."* ]]
