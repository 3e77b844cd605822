#!/bin/sh
# Makes the certificates of the tests anew: an authority, and servers of it. Needs openssl. Nobody trusts them, and their keys are no secret.
#   sh make.sh      in this directory
set -eu
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
touch "$work/index"
cat >"$work/ca.cnf" <<END
[ca]
default_ca = test
[test]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
END

# NAME START END EXTENSIONS...
sign() {
    name=$1 start=$2 end=$3
    shift 3
    printf '%s\n' "$@" >"$work/ext"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/$name.key" -out "$work/$name.csr" -subj "/CN=bangui test $name" 2>/dev/null
    if [ "$name" = authority ]; then
        set -- -selfsign -keyfile "$work/authority.key"
    else
        set -- -cert authority.pem -keyfile "$work/authority.key"
    fi
    openssl ca -batch -notext -config "$work/ca.cnf" "$@" -in "$work/$name.csr" -out "$work/$name.pem" -startdate "$start" -enddate "$end" -extfile "$work/ext" 2>/dev/null
}

sign authority 20200101000000Z 21200101000000Z basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign
cp "$work/authority.pem" authority.pem
sign server 20200101000000Z 21200101000000Z basicConstraints=CA:FALSE subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:lists.example
sign other-name 20200101000000Z 21200101000000Z basicConstraints=CA:FALSE subjectAltName=DNS:elsewhere.example
sign expired 20200101000000Z 20210101000000Z basicConstraints=CA:FALSE subjectAltName=IP:127.0.0.1
for name in server other-name expired; do
    cat "$work/$name.pem" "$work/$name.key" >"$name.pem"
done
