# SPDX-License-Identifier: MIT OR Apache-2.0
"""The servers: how each is started and stopped, and which clients it gets.

In texts, @directory@ is a directory of the server's own, @port@ a port for TCP and UDP, and @unix@ the path of a unix
socket. ${INVOCATION_ID} differs in each run, so that two runs can have files of their own.
"""
import dataclasses

import clients
from clients import Steps, framed, http


@dataclasses.dataclass
class Server:
    name: str
    package: str
    command: str
    sockets: dict[str, Steps]  # by kind: TCP, UDP or unix
    _: dataclasses.KW_ONLY
    options: str = ''  # what to write beside the addresses, for the table
    more_packages: str = ''
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    setup: str = ''  # commands for sh
    unix: str = 'socket'
    user: str = ''
    environment: str = ''
    stop: str = 'TERM'
    obstacle: str = ''  # why it cannot run twice at the same time
    rejection: bytes = b''  # what it replies to clients that it cannot serve yet
    needs: str = ''  # a directory in /run
    rate: int = 50  # clients per second


SERVERS = [
    Server('nginx', 'nginx', 'nginx -c @directory@/conf',
           {'TCP': http(b'hello'), 'unix': http(b'hello'), 'UDP': clients.ECHO},
           options='`daemon off;`', more_packages='libnginx-mod-stream', stop='QUIT', files={'conf': '''
daemon off; pid @directory@/pid; error_log stderr; load_module modules/ngx_stream_module.so; events {}
http {
  access_log off;
  server { listen 127.0.0.1:@port@; listen unix:@unix@; location / { return 200 hello; } }
}
stream { server { listen 127.0.0.1:@port@ udp; return hello; } }
'''}),
    Server('apache2', 'apache2', '/usr/sbin/apache2 -DFOREGROUND -f @directory@/conf', {'TCP': http(b'hello')},
           options='`-DFOREGROUND`, `PidFile` with `${INVOCATION_ID}`', stop='WINCH', files={'conf': '''
ServerRoot @directory@
DefaultRuntimeDir @directory@
PidFile @directory@/pid.${INVOCATION_ID}
ErrorLog /dev/stderr
Listen 127.0.0.1:@port@
ServerName localhost
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
DocumentRoot @directory@
DirectoryIndex index.html
User nobody
Group nogroup
'''}),
    Server('lighttpd', 'lighttpd', 'lighttpd -D -f @directory@/conf',
           {'TCP': http(b'hello')}, options='`-D`', stop='INT', files={'conf': '''
server.document-root = "@directory@"
server.bind = "127.0.0.1"
server.port = @port@
index-file.names = ("index.html")
'''}),
    Server('haproxy', 'haproxy', 'haproxy -db -f @directory@/conf', {'TCP': http(b'hello')}, options='`-db`',
           stop='USR1', files={'conf': '''
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend all
  bind 127.0.0.1:@port@
  http-request return status 200 content-type text/plain string hello
'''}),
    Server('varnish', 'varnish',
           'varnishd -F -a 127.0.0.1:@port@ -a @unix@ -f @directory@/conf -n @directory@/${INVOCATION_ID} '
           '-s malloc,10m',
           {'TCP': http(b'hello'), 'unix': http(b'hello')},
           options='`-F`, `-n` with `${INVOCATION_ID}`', files={'conf': '''
vcl 4.1;
backend none none;
sub vcl_recv { return (synth(200, "hello")); }
'''}),
    Server('squid', 'squid', 'squid -N -f @directory@/conf',
           {'TCP': http(b'ERR_ACCESS_DENIED', 403, b'http://x.test/')},
           options='`-N`, `pid_filename none`', files={'conf': '''
http_port 127.0.0.1:@port@
http_access deny all
pid_filename none
cache_log /dev/stderr
access_log none
netdb_filename none
pinger_enable off
coredump_dir @directory@
visible_hostname localhost
shutdown_lifetime 1 second
'''}),
    Server('tinyproxy', 'tinyproxy', 'tinyproxy -d -c @directory@/conf',
           {'TCP': http(b'statistics', url=b'http://tinyproxy.stats/')}, options='`-d`', files={'conf': '''
Port @port@
Listen 127.0.0.1
Timeout 10
MaxClients 100
'''}),
    Server('redis', 'redis-server',
           'redis-server --port @port@ --bind 127.0.0.1 --unixsocket @unix@ --save "" --dir @directory@',
           {'TCP': clients.REDIS, 'unix': clients.REDIS}),
    Server('memcached', 'memcached', 'memcached -l 127.0.0.1 -p @port@ -U @port@',
           {'TCP': clients.MEMCACHED, 'UDP': clients.MEMCACHED_UDP}, user='memcache'),
    Server('memcached', 'memcached', 'memcached -s @unix@', {'unix': clients.MEMCACHED}, options='`-s`',
           user='memcache'),
    Server('postgresql', 'postgresql-15',
           '/usr/lib/postgresql/15/bin/postgres -D @directory@/data -h 127.0.0.1 -p @port@ -k @directory@',
           {'TCP': clients.POSTGRESQL, 'unix': clients.POSTGRESQL}, user='postgres', stop='INT', rejection=b'E',
           unix='.s.PGSQL.@port@', obstacle='the data directory is locked',
           setup='/usr/lib/postgresql/15/bin/initdb -A trust -U postgres -N -D @directory@/data'),
    Server('slapd', 'slapd',
           'slapd -d 0 -f @directory@/conf -h "ldap://127.0.0.1:@port@/ ldapi://@unix-in-url@/"',
           {'TCP': clients.LDAP, 'unix': clients.LDAP}, options='`-d 0`', files={'conf': '''
modulepath /usr/lib/ldap
moduleload back_null
include /etc/ldap/schema/core.schema
database null
suffix dc=test
'''}),
    Server('mosquitto', 'mosquitto', 'mosquitto -c @directory@/conf', {'TCP': clients.MQTT, 'unix': clients.MQTT},
           user='mosquitto', files={'conf': '''
listener @port@ 127.0.0.1
listener 0 @unix@
allow_anonymous true
'''}),
    Server('dnsmasq', 'dnsmasq-base',
           'dnsmasq -k -C /dev/null -R -h -p @port@ -a 127.0.0.1 -z -x @directory@/pid -A /name.test/192.0.2.1 -u root',
           {'UDP': clients.DNS, 'TCP': framed(clients.DNS)}, options='`-k --bind-interfaces`'),
    Server('named', 'bind9', 'named -f -4 -c @directory@/conf', {'UDP': clients.DNS, 'TCP': framed(clients.DNS)},
           options='`-f`, `pid-file none`, `lock-file none`', rejection=rb'(..)?\x12\x34.[\2\5]', files={'conf': '''
options {
  directory "@directory@";
  listen-on port @port@ { 127.0.0.1; };
  pid-file none; lock-file none; session-keyfile none;
  recursion no; dnssec-validation no;
};
controls {};
zone test { type primary; file "zone"; };
''', 'zone': '''
$TTL 1h
@ SOA ns nobody 1 1h 1h 1h 1h
@ NS ns
ns A 192.0.2.1
name A 192.0.2.1
'''}),
    Server('snmpd', 'snmpd',
           'snmpd -f -Lo -C -c @directory@/conf -I -smux udp:127.0.0.1:@port@ tcp:127.0.0.1:@port@ unix:@unix@',
           {'UDP': clients.SNMP, 'TCP': clients.SNMP, 'unix': clients.SNMP}, options='`-f`',
           environment='SNMP_PERSISTENT_DIR=@directory@', files={'conf': '''
rocommunity public
com2secunix local @unix@ public
group all v2c local
access all "" any noauth exact systemview none none
view systemview included .1
'''}),
    Server('vsftpd', 'vsftpd', 'vsftpd @directory@/conf', {'TCP': clients.MAIL_OR_FILES}, rate=10,
           options='`listen=YES`, `background=NO`', files={'conf': '''
listen=YES
listen_address=127.0.0.1
listen_port=@port@
background=NO
anonymous_enable=NO
local_enable=YES
secure_chroot_dir=@directory@/empty
'''.lstrip()}, setup='mkdir @directory@/empty'),
    Server('sshd', 'openssh-server', '/usr/sbin/sshd -D -e -f @directory@/conf', {'TCP': clients.SSH}, rate=10,
           options='`-D`, `PidFile none`', files={'conf': '''
ListenAddress 127.0.0.1:@port@
HostKey @directory@/key
PidFile none
MaxStartups 1000
'''}, setup='ssh-keygen -q -t ed25519 -N "" -f @directory@/key', needs='/run/sshd'),
    Server('rsync', 'rsync',
           'rsync --daemon --no-detach --address=127.0.0.1 --port=@port@ --config=@directory@/conf',
           {'TCP': clients.RSYNC}, rate=10, options='`--daemon --no-detach`', files={'conf': ''}),
    Server('svnserve', 'subversion',
           'svnserve -d --foreground --listen-host 127.0.0.1 --listen-port @port@ -r @directory@',
           {'TCP': clients.SUBVERSION}, rate=10, options='`-d --foreground`'),
    Server('exim4', 'exim4-daemon-light', 'exim4 -bdf -C @directory@/conf', {'TCP': clients.MAIL_OR_FILES}, rate=10,
           options='`-bdf`, started by root', files={'conf': '''
primary_hostname = localhost
daemon_smtp_port = @port@
local_interfaces = 127.0.0.1
spool_directory = @directory@/spool
log_file_path = @directory@/%s.log
pid_file_path = @directory@/pid
smtp_accept_max = 0
daemon_startup_sleep = 1s
notifier_socket =
'''}, setup='install -d -o Debian-exim @directory@/spool && chown Debian-exim @directory@'),
    Server('python3', 'python3', '/usr/bin/python3 -m http.server @port@ --bind 127.0.0.1 --directory @directory@',
           {'TCP': http(b'hello')}, options='`-m http.server`', stop='INT'),
    Server('Node.js', 'nodejs', 'node @directory@/server.js',
           {'TCP': http(b'hello'), 'unix': http(b'hello'), 'UDP': clients.ECHO}, options='`http`, `dgram`',
           files={'server.js': '''
const http = require("http");
const reply = (request, response) => response.end("hello");
const servers = [http.createServer(reply), http.createServer(reply), require("dgram").createSocket("udp4")];
servers[0].listen(@port@, "127.0.0.1");
servers[1].listen("@unix@");
servers[2].on("message", (message, from) => servers[2].send(message, from.port, from.address));
servers[2].bind(@port@, "127.0.0.1");
process.on("SIGTERM", () => servers.forEach((server) => server.close()));
'''}),
    Server('java', 'openjdk-17-jdk-headless', 'java -cp @directory@ Server', {'TCP': http(b'hello')},
           options='`com.sun.net.httpserver`', setup='javac @directory@/Server.java', files={'Server.java': '''
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

class Server {
  public static void main(String[] arguments) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", @port@), 0);
    server.createContext("/", exchange -> {
      exchange.sendResponseHeaders(200, 5);
      exchange.getResponseBody().write("hello".getBytes());
      exchange.close();
    });
    server.start();
  }
}
'''}),
    Server('ruby', 'ruby', 'ruby -run -e httpd @directory@ -p @port@ -b 127.0.0.1', {'TCP': http(b'hello')},
           options='`-run -e httpd`', more_packages='ruby-webrick'),
    Server('php', 'php-cli', 'php -S 127.0.0.1:@port@ -t @directory@', {'TCP': http(b'hello')}, options='`-S`',
           stop='INT'),
]
