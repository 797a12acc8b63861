#!/usr/bin/env bash
# The servers and tools that integration tests talk to. Installs what is missing where that can be done without asking (root on
# Debian); elsewhere it says what is missing, and the tests that need it are skipped with that reason.
set -eu
declare -A package=([redis-server]=redis-server [java]=openjdk-17-jre-headless [kcat]=kcat [wrk]=wrk [openssl]=openssl [pg_ctlcluster]=postgresql
  [kubectl]=kubernetes-client [promtool]=prometheus [node]=nodejs [npm]=npm [chromium]=chromium)
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ -e /usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0 ] || [ ! -e /etc/debian_version ] || missing+=(python3-venv libpython3.11)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "not installed: ${missing[*]} - the tests that need them are skipped (Debian: apt-get install ${missing[*]})"
fi
