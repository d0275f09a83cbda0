/** `--network user`: containers behind the gateway of this process's own. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { buildNetcheck, netInitramfs } from '../support/guests/net-image.ts';
import type { Zone } from '../support/gateway/names.ts';
import { neighbour, netShell } from '../support/guests/net-shell.ts';
import { root } from '../support/guests/programs.ts';

let dir: string;
let image: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-user-net-'));
  image = busyboxImage(join(dir, 'image'));
  copyFileSync(NETCHECK, join(image, 'bin/netcheck'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const ZONE = { 'web.example.org': [{ type: 'A', value: '192.0.2.2' }, { type: 'AAAA', value: '2001:db8::2' }] } as const;
const NETCHECK = buildNetcheck();
const GET = 'busybox wget -q -O -';

describe.skipIf(process.getuid?.() !== 0)('vmm run --network user', () => {
  it.each([
    ['by default', []],
    ['without the FFI library', ['--require', join(root, 'test/support/cli/no-ffi.cjs')]],
  ])('%s: addresses and names of the host’s network, both families; the gateway alone answers echo', (_name, node) => {
    const inside = `cat /etc/resolv.conf; ${GET} http://192.0.2.2:8000/; ${GET} http://[2001:db8::2]:8000/; ${GET} http://web.example.org:8000/
busybox ping -q -c 1 10.0.2.2 | busybox grep -c " 0% packet loss"; busybox ping -q -c 1 -W 1 192.0.2.2 | busybox grep -c "100% packet loss"
busybox ip route`;
    const result = netShell(dir, `${neighbour(ZONE)}$VMM --network user --dns 192.0.2.2 ${image} sh -c '${inside}'`, node);
    expect(result.stderr).toBe('');
    expect(result.stdout).toMatch(/^nameserver 10\.0\.2\.3\nnameserver fd76:6d6d:2::3\n(from the neighbour\n){3}1\n1\ndefault via 10\.0\.2\.2 dev eth0/);
    expect(result.status).toBe(0);
  });

  it('the host itself is reached by none of its addresses, but by host-gateway where that is given', () => {
    const where = ['10.0.2.2', '127.0.0.1', '0.0.0.0', '192.0.2.1', '[2001:db8::1]', '[::ffff:192.0.2.1]', '[fd76:6d6d:2::2]', '169.254.169.254'];
    const inside = `for i in ${where.join(' ')}; do ${GET} http://$i:8000/ 2>/dev/null && echo $i; done; echo end`;
    const host = 'mkdir $DIR/own; echo from the host > $DIR/own/index.html; busybox httpd -p 8000 -h $DIR/own\n';
    const alone = netShell(dir, `${neighbour()}${host}$VMM --network user ${image} sh -c '${inside}'`);
    expect([alone.stdout, alone.stderr]).toEqual(['end\n', '']);
    const given = netShell(dir, `${neighbour()}${host}$VMM --network user --add-host host.vmm.internal:host-gateway ${image} sh -c '${GET} http://host.vmm.internal:8000/; ${inside}'`);
    expect([given.stdout, given.stderr]).toEqual(['from the host\nfrom the host\n10.0.2.2\nfrom the host\n[fd76:6d6d:2::2]\nend\n', '']);
  });

  it('any user has it, with addresses of one’s own choice, on a host without a way out', () => {
    const inside = `busybox ip addr show eth0 | busybox grep -o "inet6* [0-9a-f.:/]* .*global"; busybox ip route; cat /etc/resolv.conf; ${GET} http://192.0.2.9/ 2>&1`;
    const user = 'setpriv --reuid 65534 --regid 65534 --clear-groups';
    const result = netShell(dir, `mkdir -m 777 $DIR/store; export VMM_STORE=$DIR/store XDG_CACHE_HOME=$DIR/store; chmod 755 ${dir} $DIR
${user} $VMM --network user,ip=192.168.77.2/24,mtu=1400 --mac-address 02:00:00:00:00:09 ${image} sh -c '${inside}; cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address'`);
    expect(result.stdout).toBe('inet 192.168.77.2/24 brd 192.168.77.255 scope global\ndefault via 192.168.77.3 dev eth0 \n192.168.77.0/24 dev eth0 scope link  src 192.168.77.2 \nnameserver 192.168.77.1\nwget: can\'t connect to remote host (192.0.2.9): No route to host\n1400\n02:00:00:00:00:09\n');
    expect(result.status, result.stderr).toBe(0);
  });

  it('published ports lead to the container from all addresses or one, by TCP and UDP, and are free afterwards', () => {
    const inside = 'mkdir /w; echo from the container > /w/index.html; busybox httpd -p 80 -h /w; netcheck serve any 81 1 >/dev/null & netcheck echo any 53 3; read line; wait';
    const get = (url: string): string => `busybox wget -q -O - http://${url}:`;
    const result = netShell(dir, `${neighbour()}mkfifo $DIR/in $DIR/out; busybox httpd -p 127.0.0.1:8200
\${VMM% -q*} --accel wasm -m 128m -i --network user -p 8080:80/TCP -p 127.0.0.1:8090-8091:80-81 -p target=53,published=5353,protocol=udp -p 0:80 -p 127.0.0.1:8200-8202:80 ${image} sh -c '${inside}' <$DIR/in >$DIR/out 2>$DIR/said & exec 3>$DIR/in 4<$DIR/out
read first <&4; echo "$first"
${get('127.0.0.1')}8080/; ${get('192.0.2.1')}8080/; ${get('[::1]')}8080/; ${get('127.0.0.1')}8090/; ${get('127.0.0.1')}$(sed -n 's/^.*80.tcp -> 0.0.0.0://p' $DIR/said)/
${get('127.0.0.1')}8201/; ${get('192.0.2.1')}8090/ 2>/dev/null || echo not there
nsenter -t $NS -n ${NETCHECK} datagrams 192.0.2.1 5353 1; ${NETCHECK} datagrams ::1 5353 1; ${NETCHECK} datagrams 127.0.0.1 5353 1
nsenter -t $NS -n busybox wget -q -O - http://192.0.2.1:8080/; ${NETCHECK} put 127.0.0.1 8091 3000000 | wc -c
echo >&3; cat <&4; wait $!; cat $DIR/said; busybox netstat -ltun | grep -cE ":(80..|5353)"`);
    expect(result.stderr).toBe('');
    expect(result.stdout).toMatch(/^echoing\n(from the container\n){6}not there\n(datagrams 1 1\n){3}from the container\n3000001\n/); // and a line’s end
    // The neighbour is itself; the host's own addresses, which the guest could not answer, are the gateway.
    expect(result.stdout).toMatch(/\nfrom ::ffff:192\.0\.2\.2\n/);
    expect(result.stdout).toMatch(/\nvmm: 80\/tcp -> 0\.0\.0\.0:(\d+)\nvmm: 80\/tcp -> \[::\]:\1\nvmm: 80\/tcp -> 127\.0\.0\.1:8201\n0\n$/);
  });

  it('is the default; -P publishes what the image and --expose name; other names of the container; what is refused is counted', () => {
    const inside = `cat /etc/hosts | busybox grep -c "10.0.2.15.*db"; mkdir /w; echo from the container > /w/index.html; busybox httpd -p 80 -h /w; busybox nc 127.0.0.1 9 2>/dev/null; for i in 1 2 3; do busybox nc 169.254.169.254 80; done 2>/dev/null; echo ready; sleep 600`;
    const result = netShell(dir, `${neighbour()}chmod 755 $DIR; export XDG_RUNTIME_DIR=$DIR; ROOT="--root $DIR/kept"; mkdir -m 700 $DIR/kept
$CLI create $ROOT --name made ${image} true >/dev/null; $CLI commit $ROOT -c 'EXPOSE 80 81/udp' made mine:1 >/dev/null
$VMM $ROOT --name web -d -P --expose 80-82 --network-alias db mine:1 sh -c '${inside}' >/dev/null
until $CLI logs $ROOT web | busybox grep ready; do busybox sleep 0.2; done; $CLI logs $ROOT web | busybox head -n 1
$CLI port $ROOT web | sed 's/:[0-9]*$//'; PORT=$($CLI port $ROOT web 80 | sed -n 's/0.0.0.0://p')
busybox wget -q -O - http://127.0.0.1:$PORT/; busybox wget -q -O - http://[::1]:$PORT/
$CLI ps $ROOT --format '{{.Ports}}' | grep -cF "0.0.0.0:$PORT->80/tcp, [::]:$PORT->80/tcp"
until [ "$($CLI inspect $ROOT -f '{{.NetworkSettings.DeniedConnections.Count}}' web)" = 3 ]; do busybox sleep 0.2; done
$CLI inspect $ROOT -f '{{json .NetworkSettings.DeniedConnections.Last}}' web | grep -o '"Protocol":"tcp","Target":"169.254.169.254:80","Reason":"[a-z -]*"' | sort -u
$CLI rm $ROOT -f web made >/dev/null`);
    expect(result.stderr).toBe('');
    const both = (port: string): string => `${port} -> 0.0.0.0\n${port} -> [::]\n`;
    expect(result.stdout).toBe(`ready\n1\n${both('80/tcp')}${both('81/udp')}${both('81/tcp')}${both('82/tcp')}from the container\nfrom the container\n1\n"Protocol":"tcp","Target":"169.254.169.254:80","Reason":"link-local"\n`);
  });

  it('vmm boot: a guest that asks is told its addresses, by DHCP and router advertisements', () => {
    const initrd = netInitramfs(mkdtempSync(join(dir, 'boot-')), `cat > /tmp/lease <<END
#!/bin/sh
echo "\\$1 \\$ip \\$mask \\$router \\$dns \\$mtu" | grep bound
ip addr add \\$ip/\\$mask dev eth0 2>/dev/null; ip route add default via \\$router 2>/dev/null
END
chmod 755 /tmp/lease; ip link set eth0 up; udhcpc -n -q -f -i eth0 -s /tmp/lease 2>/dev/null
${GET.replace('busybox ', '')} http://192.0.2.2:8000/
until ip -6 addr show eth0 | grep -q fd76; do usleep 100000; done; ip -6 route | grep -c default`);
    const result = netShell(dir, `${neighbour()}$CLI boot -q --accel wasm --memory 128 --initrd ${initrd} --append 'console=ttyS0 quiet panic=-1 reboot=t tsc=reliable' --exit-on reboot --net user,mtu=1400`);
    expect(result.stdout.replaceAll('\r', ''), result.stderr).toMatch(/bound 10\.0\.2\.15 24 10\.0\.2\.2 10\.0\.2\.3 1400\nfrom the neighbour\n1\n/);
  });

  it('rules: names by their own answers, refusals at once and told, TLS for another name', () => {
    const zone: Zone = { 'web.example.org': [{ type: 'A', value: '192.0.2.2', ttl: 300 }], 'other.example.net': [{ type: 'A', value: '192.0.2.2' }], 'inside.example.org': [{ type: 'A', value: '192.0.2.1' }] };
    const inside = `${GET} http://192.0.2.2:8000/; ${GET} http://other.example.net:8000/; ${GET} http://inside.example.org:8000/; ${GET} http://web.example.org:8000/; ${GET} http://192.0.2.2:8000/; busybox nc 192.0.2.2 8001 </dev/null && echo open`;
    const result = netShell(dir, `${neighbour(zone)}printf 'egress deny\\nallow *.example.org:8000 # web\\n' > $DIR/rules
\${VMM% -q*} --accel wasm -m 128m --network user --dns 192.0.2.2 --egress-policy $DIR/rules --deny 192.0.2.2:8001 ${image} sh -c '${inside}; true' 2>$DIR/said; grep "is refused" $DIR/said
\${VMM% -q*} --accel wasm -m 128m --network user --dns 192.0.2.2 --egress deny --allow web.example.org --strict-sni ${image} sh -c '${GET} http://web.example.org:8000/' 2>$DIR/said; grep "is refused" $DIR/said`);
    expect(result.stderr).toBe('');
    expect(result.stdout).toBe(`${'from the neighbour\n'.repeat(2)}vmm: 192.0.2.2:8000/tcp is refused: egress deny
vmm: 192.0.2.2:8001/tcp is refused: deny 192.0.2.2:8001
vmm: 192.0.2.2:8000/tcp is refused: no name in TLS, beside allow web.example.org\n`);
  });

  it.each([
    ['rules beside another network', '--network none --allow a.org', /need --network user/],
    ['a rule that is none', '--network user --allow 10.0.0.0/40', /--allow: 10\.0\.0\.0\/40 is no network/],
    ['a file that is not there', '--network user --egress-policy /nowhere', /cannot read \/nowhere: ENOENT/],
    ['a port that is taken', '--network user -p 8000:80', /port 8000\/tcp cannot be published: EADDRINUSE .* \[NET_PORT\]/],
    ['a port of IPv6 that is taken', '--network user -p [::1]:8001:80', /port 8001\/tcp of ::1 cannot be published: EADDRINUSE/],
    ['one of a range', '--network user -p 7999-8000:80-81', /port 8000\/tcp cannot be published/],
    ['a port given twice', '--network user -p 8002:80 -p 127.0.0.1:8002:81', /port 8002\/tcp of 127\.0\.0\.1 cannot be published: EADDRINUSE/],
    ['an address that is not the host’s', '--network user -p 192.0.2.77:8003:80', /port 8003\/tcp of 192\.0\.2\.77 cannot be published: EADDRNOTAVAIL/],
    ['a range without a free one', '--network user -p 127.0.0.1:8000-8000:80 -p 127.0.0.1:8000-8001:80 -p 127.0.0.1:8001:80', /EADDRINUSE/],
    ['a range of the other size', '--network user -p 8000-8002:80-81', /has 3 ports of the host for 2 of the guest/],
    ['all ports', '-p 1-65535:1-65535', /65535 ports, of which 1024 at most/],
    ['another protocol', '-p 80/sctp', /sctp is not tcp or udp/],
    ['a word that -p has not', '-p target=80,publish=8080', /publish is not a word of it/],
    ['a range for passt', '--network passt -p 8003-8004:80', /passt takes one port/],
    ['ports without a network', '--network none -p 80', /-p needs --network user or passt/],
  ])('%s is one line', (_name, options, says) => {
    const result = netShell(dir, `busybox httpd -p 127.0.0.1:8000; busybox httpd -p [::1]:8001\n$VMM ${options} ${image} true`);
    expect(result.stderr).toMatch(says);
    expect(result.stderr.trimEnd().split('\n').length).toBe(1);
    expect(result.status).toBe(125);
  });

  it.each([
    ['an address beside the network', '--network user --ip 10.9.0.2', /--ip: 10\.9\.0\.2 is not in the user-mode network 10\.0\.2\.2\/24/],
    ['a gateway beside the network', '--network user,ip=10.9.0.2/24,gw=10.8.0.1', /the gateway 10\.8\.0\.1 is not another address/],
    ['two addresses of a family', '--network user,ip=10.9.0.2/24,ip=10.9.0.3/24', /one address too many/],
    ['no room', '--network user,ip=10.9.0.2/31', /leaves no room/],
    ['host-gateway elsewhere', '--network none --add-host a:host-gateway', /needs --network user/],
  ])('%s is one line', (_name, options, says) => {
    const result = netShell(dir, `$VMM ${options} ${image} true`);
    expect(result.stderr).toMatch(says);
    expect(result.stderr.trimEnd().split('\n').length).toBe(1);
    expect(result.status).toBe(125);
  });
});
