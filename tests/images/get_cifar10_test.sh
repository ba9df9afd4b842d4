#!/usr/bin/env bash
# Tests of scripts/get-cifar10 without a network: archives are made here, and the only address refuses connections.
set -euo pipefail

readonly script=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

files=(data_batch_{1..5}.bin test_batch.bin)
make_files() {  # folder bytes
  mkdir -p "$1"
  for file in "${files[@]}"; do truncate -s "$2" "$1/$file"; done
}

# expect STATUS TEXT command...: the command ends with STATUS and says TEXT
expect() {
  local status=0 output
  output=$("${@:3}" 2>&1) || status=$?
  if [ "$status" != "$1" ] || [[ $output != *"$2"* ]]; then
    printf 'FAILED: %s\nexpected status %s and: %s\nfound status %s and: %s\n' "${*:3}" "$1" "$2" "$status" "$output"
    exit 1
  fi
}
expect_no_files() {
  [ -z "$(ls -A "$1")" ] || { echo "FAILED: $1 holds $(ls -A "$1")"; exit 1; }
}

make_files there 30730000
expect 0 "there is complete" "$script" --url http://127.0.0.1:1/none there

expect 0 "usage: get-cifar10" "$script" --help
expect 2 "unknown option --mirror" "$script" --mirror x
expect 2 "usage: get-cifar10" "$script" --url
expect 2 "usage: get-cifar10" "$script" one two

echo "not an archive" >bad.tar.gz
expect 1 "bad.tar.gz is damaged, or is another file: its MD5 is c4ae565219e5199350397cb6085d7741" \
  "$script" --archive bad.tar.gz fresh
expect_no_files fresh
expect 1 "cannot read none.tar.gz" "$script" --archive none.tar.gz fresh
expect 1 "could not unpack bad.tar.gz" "$script" --archive bad.tar.gz --md5 "$(md5sum <bad.tar.gz | cut -c 1-32)" fresh
expect_no_files fresh

make_files packed/cifar-10-batches-bin 3073
tar -czf short.tar.gz -C packed cifar-10-batches-bin
expect 1 "does not have the six files of 30730000 bytes" \
  "$script" --archive short.tar.gz --md5 "$(md5sum <short.tar.gz | cut -c 1-32)" fresh
expect_no_files fresh

make_files packed/cifar-10-batches-bin 30730000
tar --sparse -czf good.tar.gz -C packed cifar-10-batches-bin
sum=$(md5sum <good.tar.gz | cut -c 1-32)
truncate -s 100 fresh/test_batch.bin # what an earlier, broken copy may have left
expect 0 "fresh is complete: use it with" "$script" --archive good.tar.gz --md5 "$sum" fresh
found=$(stat -c %s fresh/* fresh/.[!.]* 2>/dev/null | sort | uniq -c | tr -s ' ' || true)
[ "$found" = " 6 30730000" ] || { echo "FAILED: fresh holds $(ls -lA fresh)"; exit 1; }
expect 0 "fresh is complete" "$script" --url http://127.0.0.1:1/none fresh

echo text >a-file
expect 1 "could not create the folder a-file/x" "$script" --archive good.tar.gz a-file/x

if command -v curl >/dev/null || command -v wget >/dev/null; then
  expect 1 "could not download http://127.0.0.1:1/none" "$script" --url http://127.0.0.1:1/none away
  expect 1 "use --archive FILE" "$script" --url http://127.0.0.1:1/none away
  expect_no_files away
fi
mkdir no-tools
for tool in bash stat mkdir mktemp rm cut md5sum tar; do ln -s "$(command -v $tool)" no-tools/; done
expect 1 "neither curl nor wget is installed" env PATH="$work/no-tools" bash "$script" away
echo "all as expected"
