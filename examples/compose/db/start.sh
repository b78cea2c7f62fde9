#!/bin/sh
# Makes the database at the first start, then becomes the server.
set -eu
bin=/usr/lib/postgresql/15/bin
data=/var/lib/postgresql/data
if [ ! -f "$data/ready" ]; then
    rm -rf "${data:?}"/*
    printf '%s' "$POSTGRES_PASSWORD" > /tmp/password
    "$bin/initdb" -D "$data" -U shop --pwfile=/tmp/password --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    rm /tmp/password
    echo 'host all all all scram-sha-256' >> "$data/pg_hba.conf"
    echo 'CREATE DATABASE shop;' | "$bin/postgres" --single -j -D "$data" postgres >/dev/null
    "$bin/postgres" --single -j -D "$data" shop < /schema.sql >/dev/null
    touch "$data/ready"
fi
exec "$bin/postgres" -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=50
