#!/usr/bin/env bash
# Installs what building, the demo and the tests need and this machine lacks.
#
#   scripts/deps.sh build   a C and C++ compiler (DuckDB is linked in)
#   scripts/deps.sh demo    the same and a PostgreSQL server
#   scripts/deps.sh test    the same and Python with a boto3 that knows integrations
#
# Made for Debian 12 and alike; elsewhere it says what to install. It may be run
# again at any time and is quick when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-test}
boto3_version=1.43.11
venv=.cache/venv

say() { echo "deps: $*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

has go || die "Go is missing: install Go 1.26 and put it on PATH"

server_binaries() {
	local dir IFS=:
	for dir in ${PENSTOCK_PG_BIN:-} /usr/lib/postgresql/*/bin $PATH; do
		[ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && return 0
	done
	return 1
}

# knows_integrations PYTHON: has it a boto3 whose RDS client has the calls?
knows_integrations() {
	has "$1" && "$1" -c '
import boto3, sys
from botocore.session import get_session
model = get_session().get_service_model("rds")
sys.exit("CreateIntegration" not in model.operation_names)' >/dev/null 2>&1
}

compiles() {
	has gcc && has g++ && echo '#include <cstdlib>
int main() {}' | g++ -x c++ - -o /dev/null >/dev/null 2>&1
}

packages=()
compiles || packages+=(gcc g++ libc6-dev)
python_missing=
case $what in
build) ;;
demo | test)
	server_binaries || packages+=(postgresql)
	if [ "$what" = test ]; then
		has psql || packages+=(postgresql-client)
		if ! knows_integrations "${PENSTOCK_TEST_PYTHON:-python3}" && ! knows_integrations "$venv/bin/python3"; then
			python_missing=yes
			has python3 || packages+=(python3)
			python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
		fi
	fi
	;;
*) die "usage: scripts/deps.sh build|demo|test" ;;
esac

install_packages() {
	local root=()
	if [ "$(id -u)" != 0 ]; then
		has sudo || die "as root, install these packages: $*"
		root=(sudo)
	fi
	has apt-get || die "there is no apt-get here; install what these Debian packages hold: $*"
	local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0)
	say "installing $*"
	"${apt[@]}" update >&2

	# Debian's package would start a server of its own; ours are throwaway ones.
	local conf=/etc/postgresql-common/createcluster.conf kept=
	if [[ " $* " == *" postgresql "* ]]; then
		"${apt[@]}" install -y --no-install-recommends postgresql-common >&2
		if [ -f "$conf" ]; then
			kept=$(mktemp)
			cp "$conf" "$kept"
			echo 'create_main_cluster = false' | "${root[@]}" tee -a "$conf" >/dev/null
		fi
	fi
	local status=0
	"${apt[@]}" install -y --no-install-recommends "$@" >&2 || status=$?
	if [ -n "$kept" ]; then
		"${root[@]}" cp "$kept" "$conf"
		rm -f "$kept"
	fi
	return "$status"
}

if [ ${#packages[@]} -gt 0 ]; then
	install_packages "${packages[@]}" || die "apt-get could not install ${packages[*]}"
fi

if [ -n "$python_missing" ]; then
	say "installing boto3 $boto3_version into $venv"
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet "boto3==$boto3_version" >&2
	knows_integrations "$venv/bin/python3" || die "boto3 $boto3_version does not know RDS integrations"
fi
