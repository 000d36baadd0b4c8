# The life of the package on a machine: what is below / here is a copy that is thrown away. Needs the packages as
# /mnt/1.deb and /mnt/2.deb, /mnt/0001.sql, and a free port as its argument.
set -euo pipefail

told() { echo "== $*"; }
is() { [ "$1" = "$2" ] || { echo "$3: $1, and not $2"; exit 1; }; }
owner() { stat --format '%U:%G %a' "$1"; }
as_node() { setpriv --reuid xrv-node --regid xrv-node --init-groups "$@"; }

# What systemd would do with the unit, as far as it is about this.
start() {
    unset XRV_NODE_OPTIONS
    if [ -e /etc/default/xrv-node ]; then . /etc/default/xrv-node; fi
    : >/tmp/out
    local command
    command=$(sed -n 's/^ExecStart=//p' /lib/systemd/system/xrv-node.service)
    (cd / && umask 077 && eval "exec setpriv --reuid xrv-node --regid xrv-node --init-groups $command") >/tmp/out 2>/tmp/log &
    node=$!
    grep --quiet --max-count 1 ', accepts' <(tail --follow --lines +1 --pid "$node" /tmp/out) || { cat /tmp/log; exit 1; }
}
stop() { kill "$node"; wait "$node" || { cat /tmp/log; exit 1; }; }

# There is no systemd here: what it is asked for is written down.
mkdir -p /run/systemd/system
rm /usr/bin/systemctl /bin/systemctl 2>/dev/null || true
cat >/usr/bin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/tmp/asked
[ "$*" != '--quiet is-active xrv-node' ] || [ -e /tmp/active ]
END
chmod +x /usr/bin/systemctl
asked() { is "$(paste --serial --delimiters ';' /tmp/asked)" "$1" 'what systemd was asked for'; rm /tmp/asked; }

told install
dpkg --install /mnt/1.deb
asked daemon-reload # and no start: nothing is configured yet
is "$(owner /var/lib/xrv-node)" 'xrv-node:xrv-node 700' 'the state'
is "$(owner /etc/xrv-node)" 'root:xrv-node 750' 'the folder of the configuration'
is "$(owner /etc/xrv-node/node.toml)" 'root:xrv-node 640' 'the configuration'
sed --in-place "s/^port = 11112/port = $1/" /etc/xrv-node/node.toml

told first start, for phantoms
echo XRV_NODE_OPTIONS=--commissioning >/etc/default/xrv-node
start
xrv-node status | grep 'serving: True'
stop
is "$(find /var/lib/xrv-node ! -user xrv-node)" '' 'of another user'
is "$(find /var/lib/xrv-node -perm /077)" '' 'open to others'

told upgrade, of a node with the database of an older version
rm /var/lib/xrv-node/xrv-node.sqlite*
as_node sqlite3 /var/lib/xrv-node/xrv-node.sqlite </mnt/0001.sql
studies=$(sqlite3 /var/lib/xrv-node/xrv-node.sqlite 'SELECT count(*) FROM study')
before=$(md5sum /etc/xrv-node/node.toml /var/lib/xrv-node/xrv-node.sqlite)
touch /tmp/active
dpkg --install /mnt/2.deb
asked '--quiet is-active xrv-node;stop xrv-node;daemon-reload;start xrv-node'
is "$(dpkg-query --show --showformat '${Version}' xrv-node | sed 's/.*-//')" 2 'the revision'
is "$(md5sum /etc/xrv-node/node.toml /var/lib/xrv-node/xrv-node.sqlite)" "$before" 'configuration and database'
start
stop
ls /var/lib/xrv-node/backups/xrv-node-0001-*.sqlite
is "$(sqlite3 /var/lib/xrv-node/xrv-node.sqlite 'SELECT count(*) FROM study')" "$studies" 'studies'
[ "$(sqlite3 /var/lib/xrv-node/xrv-node.sqlite 'SELECT version_num FROM alembic_version')" != 0001 ]

told removal
dpkg --remove xrv-node
asked 'disable --now xrv-node;daemon-reload'
for gone in /opt/xrv-node /usr/bin/xrv-node /lib/systemd/system/xrv-node.service; do
    [ ! -e "$gone" ] || { echo "$gone is still there"; exit 1; }
done
ls /etc/xrv-node/node.toml /var/lib/xrv-node/xrv-node.sqlite

told purge
dpkg --purge xrv-node
[ ! -e /etc/xrv-node ] && [ ! -e /etc/default/xrv-node ]
ls /var/lib/xrv-node/xrv-node.sqlite
told done
