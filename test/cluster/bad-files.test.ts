/** Cluster files with a mistake, and exactly what is said about it, where. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMistakes, parse } from './support.ts'

const head = 'cluster: sgc\nimage: raspios-bookworm-arm64-lite@2025-05-13\n'
const one = `${head}nodes:\n  oneil: { model: pi4 }\n`
const node = (settings: string): string => `${head}nodes:\n  oneil: { model: pi4, ${settings} }\n`
const two = (first: string, second: string, more = ''): string =>
  `${head}${more}nodes:\n  oneil: { model: pi4, ${first} }\n  carter: { model: pi4, ${second} }\n`
const net = (settings: string): string => `network: { cidr: 10.3.50.0/24${settings} }\n`

/** [name, text, line:column: message (hint)]; several lines for several mistakes. */
const cases: [name: string, text: string, said: string][] = [
  ['empty file', '', '1:1: the cluster file is empty (piimage init writes one to start from)'],
  ['only a comment', '# nothing\n', '1:1: the cluster file is empty (piimage init writes one to start from)'],
  ['a list', '- cluster\n', '1:1: the cluster file is not a mapping (it starts with cluster: and its name)'],
  [
    'tab as indentation',
    'cluster: sgc\nnodes:\n\toneil: {}\n',
    '3:1: a tab as indentation (indent with spaces; YAML allows no tabs)',
  ],
  [
    'unclosed quote',
    'cluster: "sgc\n',
    '2:1: a quote is not closed (close every quote, [ and {; write "key: value" with a blank after the colon)',
  ],
  [
    'unclosed bracket',
    `${head}overlays: [ssh\nnodes: {}\n`,
    '4:1: a { or [ is not closed (keys of one map start in the same column; close every [ and {)',
  ],
  ['duplicate key', `${one}cluster: two\n`, '5:1: the key cluster is given twice (remove one of the two)'],
  [
    'two nodes of one name',
    `${one}  oneil: { model: pi5 }\n`,
    '5:3: the key oneil is given twice (remove one of the two)',
  ],
  [
    'two documents',
    `${one}---\ncluster: b\n`,
    '5:1: a second document begins here (one cluster per file: remove the --- line and what follows)',
  ],
  [
    'no colon, alone',
    'cluster sgc\n',
    '1:1: the cluster file is not a mapping (it starts with cluster: and its name)',
  ],
  [
    'no colon in the first line',
    'cluster sgc\nimage: x\n',
    '1:1: this line has no colon (write "key: value", with a blank after the colon)',
  ],
  [
    'no colon before what is below',
    `${head}user\n  name: ops\n`,
    '3:1: this line has no colon (write "key: value", with a blank after the colon)',
  ],
  [
    'no colon in the last line',
    `${one}overlays\n`,
    '5:1: this line has no colon (close every quote, [ and {; write "key: value" with a blank after the colon)',
  ],
  [
    'no colon before a map',
    `${head}nodes:\n  oneil { model: pi4 }\n`,
    '4:3: there is no colon after oneil (write oneil: and a blank)',
  ],
  [
    'no blank after a colon',
    `${head}nodes: { oneil: {model:pi4} }\n`,
    '3:18: there is no blank after model: (write model: and a blank)',
  ],
  [
    'colon inside a value',
    `cluster: a: b\n`,
    '1:10: a second "key: value" on one line (quote a value that holds ": ")',
  ],
  [
    'unknown tag',
    `cluster: !secret sgc\nimage: raspios-bookworm-arm64-lite@2025-05-13\nnodes: { oneil: { model: pi4 } }\n`,
    '1:10: unresolved tag: !secret (remove the tag; a cluster file needs none)',
  ],
  [
    'alias without anchor',
    `cluster: *name\n`,
    '1:10: there is no anchor &name above (write the value out, or use groups: for what nodes share)',
  ],
  [
    'alias that holds itself',
    `cluster: sgc\nnodes: &n { oneil: *n }\n`,
    '2:20: *n holds itself (write the value out, or use groups: for what nodes share)',
  ],
  [
    'aliases without end',
    `cluster: sgc\na: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n`,
    '1:1: aliases of aliases multiply beyond reason (write the value out, or use groups: for what nodes share)',
  ],
  [
    'map as a key',
    `cluster: sgc\n? { a: b }\n: c\n`,
    '2:3: a key must be text (a word, followed by a colon)',
  ],
  [
    'number as a node name',
    `${one}  007: { model: pi4 }\n`,
    '5:3: the key 007 is read as a number (quote it: "007")',
  ],
  [
    'merge key',
    `${head}nodes:\n  oneil: { <<: { model: pi4 }, model: pi4 }\n`,
    '4:12: unknown key "<<" in nodes.oneil (YAML merge keys are not read; use groups: for what nodes share)',
  ],
  [
    'no cluster name',
    'image: raspios-bookworm-arm64-lite@2025-05-13\nnodes: { oneil: { model: pi4 } }\n',
    '1:1: the cluster file has no "cluster" (for example cluster: sgc)',
  ],
  ['no nodes', head, '1:1: the cluster file has no "nodes" (for example nodes: {oneil: {model: pi4}})'],
  ['nodes is empty', `${head}nodes: {}\n`, '3:8: nodes is empty (for example {oneil: {model: pi4}})'],
  [
    'nodes is nothing',
    `${head}nodes:\n`,
    '3:7: nodes is empty; it should be a map of keys and values (give a value, or remove the key; for example {oneil: {model: pi4}})',
  ],
  [
    'nodes is a list',
    `${head}nodes:\n  - oneil\n`,
    '4:3: nodes is a list; it should be a map of keys and values (for example {oneil: {model: pi4}})',
  ],
  ['unknown key, near', `${one}overlay: [ssh]\n`, '5:1: unknown key "overlay" (did you mean overlays?)'],
  [
    'unknown key in a node',
    node('adress: 10.3.50.1/24'),
    '4:24: unknown key "adress" in nodes.oneil (did you mean address?)',
  ],
  [
    'unknown key, far',
    node('colour: red'),
    '4:24: unknown key "colour" in nodes.oneil (keys: model, image, os, boot, storage, user, users, wifi, locale, overlays, labels, role, interface, gateway, dns, group, groups, address, interfaces, mac, serial, clusterhat, router)',
  ],
  [
    'cluster name is a number',
    `cluster: 1\nimage: raspios-bookworm-arm64-lite@2025-05-13\nnodes: { oneil: { model: pi4 } }\n`,
    '1:10: cluster is the number 1; it should be text (put it in quotes: "1")',
  ],
  [
    'host name with underscore',
    `${head}nodes:\n  worker_default: { model: pi4 }\n`,
    '4:3: "worker_default" is not a valid host name (a-z, 0-9 and - inside, at most 63 characters (RFC 1123); for example worker-default)',
  ],
  [
    'host name in capitals',
    `${head}nodes:\n  Caspar: { model: pi4 }\n`,
    '4:3: "Caspar" is not a valid host name (a-z, 0-9 and - inside, at most 63 characters (RFC 1123); for example caspar)',
  ],
  [
    'host name too long',
    `${head}nodes:\n  ${'a'.repeat(64)}: { model: pi4 }\n`,
    '4:3: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…" is not a valid host name (a-z, 0-9 and - inside, at most 63 characters (RFC 1123); for example aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)',
  ],
  [
    'host name localhost',
    `${head}nodes:\n  localhost: { model: pi4 }\n`,
    '4:3: "localhost" is every machine\'s name for itself (choose another name)',
  ],
  [
    'node without model',
    `${head}nodes:\n  oneil: {}\n`,
    '4:3: oneil has no "model" (say which Raspberry Pi it is: model: pi4)',
  ],
  [
    'node without image',
    `cluster: sgc\nnodes:\n  oneil: { model: pi4 }\n`,
    '3:3: oneil has no "image" (give one here, in its group, or at the top for all nodes)',
  ],
  [
    'unknown model',
    `${head}nodes:\n  oneil: { model: pi3 }\n`,
    '4:19: nodes.oneil.model: "pi3" is not a valid model (did you mean pi3b?)',
  ],
  [
    'unknown image',
    `${head.replace('bookworm', 'bokworm')}nodes:\n  oneil: { model: pi4 }\n`,
    '2:8: the image raspios-bokworm-arm64-lite@2025-05-13 is not in the lock (did you mean raspios-bookworm-arm64-lite@2025-05-13?)',
  ],
  [
    'image without version',
    node('image: raspios-bookworm-arm64-lite'),
    '4:31: the image raspios-bookworm-arm64-lite is not in the lock (did you mean raspios-bookworm-arm64-lite@2025-05-13?)',
  ],
  [
    '64-bit image on a Zero',
    `${head}nodes:\n  oneil: { model: zerow, wifi: { ssid: a, country: DE } }\n`,
    '4:3: oneil is a Raspberry Pi Zero W (armv6, 32-bit), and raspios-bookworm-arm64-lite@2025-05-13 is a 64-bit image (give it an armhf image)',
  ],
  [
    '64-bit image on a Pi 2',
    `${head}nodes:\n  oneil: { model: pi2 }\n`,
    '4:3: oneil is a Raspberry Pi 2 (armv7, 32-bit), and raspios-bookworm-arm64-lite@2025-05-13 is a 64-bit image (give it an armhf image)',
  ],
  [
    'ARMv7 image on a Pi 1',
    `${head}nodes:\n  oneil: { model: pi1, image: ubuntu-noble-armhf-server@24.04.1 }\n`,
    '4:31: oneil is a Raspberry Pi 1 (ARMv6), and ubuntu-noble-armhf-server@24.04.1 is built for ARMv7 (give it a Raspberry Pi OS armhf image)',
  ],
  [
    'address without prefix',
    node('address: 10.3.50.11'),
    '4:33: nodes.oneil.address: "10.3.50.11" has no prefix length (write 10.3.50.11/24 if the network\'s mask is 255.255.255.0)',
  ],
  [
    'address /32',
    node('address: 10.3.50.11/32'),
    '4:33: nodes.oneil.address: "10.3.50.11/32" leaves no room for neighbours: /32 reaches no other node (write the network\'s prefix, usually /24)',
  ],
  [
    'address with an octet too big',
    node('address: 10.3.50.256/24'),
    '4:33: nodes.oneil.address: "10.3.50.256/24" is not a valid address (write it as 10.3.50.11/24 (each number 0–255, no leading zeros), or dhcp)',
  ],
  [
    'address with a leading zero',
    node('address: 10.3.050.11/24'),
    '4:33: nodes.oneil.address: "10.3.050.11/24" is not a valid address (write it as 10.3.50.11/24 (each number 0–255, no leading zeros), or dhcp)',
  ],
  [
    'IPv6 address',
    node('address: "fd00::11/64"'),
    '4:33: nodes.oneil.address: "fd00::11/64" is not an IPv4 address (write it as 10.3.50.11/24, or dhcp)',
  ],
  [
    'loopback address',
    node('address: 127.0.0.2/8'),
    "4:33: nodes.oneil.address: \"127.0.0.2/8\" can't be a node's address (choose one of the node's network)",
  ],
  [
    'address outside',
    `${head}${net('')}nodes:\n  oneil: { model: pi4, address: 10.3.51.11/24 }\n`,
    '5:33: oneil: 10.3.51.11 is outside the network 10.3.50.0/24 (choose one from 10.3.50.1 to 10.3.50.254)',
  ],
  [
    'other prefix',
    `${head}${net('')}nodes:\n  oneil: { model: pi4, address: 10.3.50.11/16 }\n`,
    "5:33: oneil: prefix /16 differs from the network's /24 (write 10.3.50.11/24)",
  ],
  [
    'network address',
    node('address: 10.3.50.0/24'),
    '4:33: oneil: 10.3.50.0 is the network 10.3.50.0/24 itself (choose an address between the two)',
  ],
  [
    'broadcast address',
    node('address: 10.3.50.255/24'),
    '4:33: oneil: 10.3.50.255 is the broadcast address of 10.3.50.0/24 (choose an address between the two)',
  ],
  [
    'network with host bits',
    `${head}network: { cidr: 10.3.50.1/24 }\nnodes:\n  oneil: { model: pi4 }\n`,
    '3:18: network.cidr: "10.3.50.1/24" is an address, not a network (did you mean 10.3.50.0/24?)',
  ],
  [
    'gateway outside',
    `${head}${net(', gateway: 10.3.51.1')}nodes:\n  oneil: { model: pi4 }\n`,
    "3:41: the gateway 10.3.51.1 is outside the network 10.3.50.0/24 (the router's address on this network)",
  ],
  [
    'gateway with prefix',
    `${head}${net(', gateway: 10.3.50.1/24')}nodes:\n  oneil: { model: pi4 }\n`,
    '3:41: network.gateway: "10.3.50.1/24" is not an IPv4 address (without prefix: 10.3.50.1)',
  ],
  [
    'node gateway outside',
    node('address: 10.3.50.11/24, gateway: 10.3.51.1'),
    "4:57: oneil: the gateway 10.3.51.1 is outside eth0's network 10.3.50.0/24 (a gateway is a neighbour: an address in the same network)",
  ],
  [
    'name server that is a name',
    `${head}${net(', dns: [dns.google]')}nodes:\n  oneil: { model: pi4 }\n`,
    '3:38: network.dns[0]: "dns.google" is not an IPv4 address (write it as 10.3.50.1)',
  ],
  [
    'same address twice',
    two('address: 10.3.50.11/24', 'address: 10.3.50.11/24'),
    "5:34: carter: address 10.3.50.11 is oneil's already (see line 4; each node needs its own)",
  ],
  [
    'same MAC twice',
    two('mac: "b8:27:eb:d3:85:78"', 'mac: B8-27-EB-D3-85-78'),
    "5:30: carter: MAC address b8:27:eb:d3:85:78 is oneil's already (see line 4; each node needs its own)",
  ],
  [
    'same serial twice',
    two('serial: "d3d38578"', 'serial: "10000000d3d38578"'),
    "5:33: carter: serial number 10000000d3d38578 is oneil's already (see line 4; each node needs its own)",
  ],
  [
    'serial of another board',
    node('mac: "b8:27:eb:d3:85:78", serial: "00d38579"'),
    '4:58: oneil: serial number 00d38579 and MAC address are of two boards (the last six digits are the same on one board: …d38578)',
  ],
  [
    'serial without quotes',
    node('serial: 00000123'),
    '4:32: nodes.oneil.serial is the number 123; it should be text (put it in quotes: "00000123")',
  ],
  [
    'MAC address too short',
    node('mac: "b8:27:eb:d3:85"'),
    '4:29: nodes.oneil.mac: "b8:27:eb:d3:85" is not a valid MAC address (six pairs of hex digits: b8:27:eb:d3:85:78)',
  ],
  [
    'MAC address of a group',
    node('mac: "01:00:5e:00:00:01"'),
    '4:29: nodes.oneil.mac: "01:00:5e:00:00:01" is not a valid MAC address of a board (read it off the board: ip link, or arp on a neighbour)',
  ],
  [
    'two interfaces in one network',
    node('address: 10.3.50.11/24, interfaces: { wlan0: { address: 10.3.50.12/24 } }'),
    '4:80: oneil: wlan0 and eth0 are in the same network (give one of them a network of its own)',
  ],
  [
    'same slot twice',
    `${head}nodes:\n  ctrl: { model: pi4, clusterhat: cbridge }\n  a: { model: zero2w, clusterhat: p1 }\n  b: { model: zero2w, clusterhat: p1 }\n`,
    "6:35: b: ClusterHAT role p1 is a's already (see line 5; each node needs its own)",
  ],
  [
    'slot outside the network',
    `${head}${net('')}nodes:\n  ctrl: { model: pi4, address: 10.3.50.1/24, clusterhat: cnat }\n  a: { model: zero2w, clusterhat: p1 }\n`,
    '6:35: a: 172.19.181.1 is outside the network 10.3.50.0/24 (a ClusterHAT behind cnat is 172.19.181.0/24; or give the node an address)',
  ],
  [
    'no such slot',
    node('clusterhat: p253'),
    '4:36: nodes.oneil.clusterhat: "p253" is not a ClusterHAT role (cnat or cbridge for the controller, p1 to p252 for a Zero in that slot)',
  ],
  [
    'Pi 4 in a slot',
    two('clusterhat: cbridge', 'clusterhat: p1'),
    '5:37: a Raspberry Pi 4 Model B does not fit into a ClusterHAT slot (slots hold zero, zerow, zero2w; the controller is cnat or cbridge)',
  ],
  [
    'Zero as controller',
    `${head}nodes:\n  a: { model: zero2w, clusterhat: cbridge }\n`,
    "4:35: a Raspberry Pi Zero 2 W can't be the controller of a ClusterHAT (a Zero in a slot is p1 to p252)",
  ],
  [
    'DHCP range outside',
    `${head}${net(', dhcp: { from: 10.3.50.100, to: 10.3.51.199 }')}nodes:\n  oneil: { model: pi4 }\n`,
    '3:63: 10.3.51.199 is outside the network 10.3.50.0/24 (the range lies inside the network)',
  ],
  [
    'DHCP range backwards',
    `${head}${net(', dhcp: { from: 10.3.50.199, to: 10.3.50.100 }')}nodes:\n  oneil: { model: pi4 }\n`,
    '3:63: the range ends before it begins: 10.3.50.199 to 10.3.50.100 (swap the two)',
  ],
  [
    'node inside the DHCP range',
    `${head}${net(', dns: [10.3.50.1], dhcp: { from: 10.3.50.100, to: 10.3.50.199 }')}nodes:\n  oneil: { model: pi4, address: 10.3.50.150/24 }\n`,
    '5:33: oneil: 10.3.50.150 is in the range that is lent to others (10.3.50.100 to 10.3.50.199) (choose an address outside it, or move the range)',
  ],
  [
    'DHCP word unknown',
    `${head}${net(', dhcp: porxy')}nodes:\n  oneil: { model: pi4 }\n`,
    '3:38: network.dhcp: "porxy" is not a valid choice here (did you mean proxy?)',
  ],
  [
    'Docker pool',
    `${head}network: { cidr: 172.30.5.0/24 }\noverlays: [docker]\nnodes:\n  oneil: { model: pi4 }\n`,
    "3:18: the network 172.30.5.0/24 collides with Docker's address pool 172.30.0.0/16 (containers' networks would hide it: move it, or say docker: { address-pool: … })",
  ],
  [
    'Docker pool that was moved onto the network',
    `${head}network: { cidr: 192.168.7.0/24 }\noverlays: [{ docker: { address-pool: 192.168.0.0/16 } }]\nnodes:\n  oneil: { model: pi4 }\n`,
    "3:18: the network 192.168.7.0/24 collides with Docker's address pool 192.168.0.0/16 (containers' networks would hide it: move it, or say docker: { address-pool: … })",
  ],
  [
    'Swarm pool',
    `${head}network: { cidr: 172.31.5.0/24 }\njoin: { kind: swarm, head: oneil }\nnodes:\n  oneil: { model: pi4, address: 172.31.5.1/24 }\n`,
    "3:18: the network 172.31.5.0/24 collides with Swarm's address pool 172.31.0.0/16 (containers' networks would hide it: move it, or say swarm: { address-pool: … })",
  ],
  [
    'pod network',
    `${head}network: { cidr: 10.42.0.0/16 }\njoin: { kind: k3s, head: oneil }\nnodes:\n  oneil: { model: pi4, address: 10.42.0.1/16 }\n`,
    '3:18: the network 10.42.0.0/16 collides with the pod network 10.42.0.0/16 (move the network)',
  ],
  [
    'join without head',
    `${one}join: { kind: swarm }\n`,
    '5:1: join: swarm needs a head (name the node that makes the cluster: head: oneil)',
  ],
  ['join without kind', `${one}join: { head: oneil }\n`, '5:1: join has no "kind" (for example kind: swarm)'],
  [
    'unknown head',
    two('address: 10.3.50.1/24', 'address: 10.3.50.2/24', 'join: { kind: swarm, head: oniel }\n'),
    '3:28: there is no node oniel (did you mean oneil?)',
  ],
  [
    'two heads',
    two('role: head, address: 10.3.50.1/24', 'role: head, address: 10.3.50.2/24', 'join: { kind: swarm }\n'),
    '6:31: two heads: oneil and carter (a cluster has one; further swarm managers are role: manager)',
  ],
  [
    'head without address',
    `${one}join: { kind: swarm, head: oneil }\n`,
    '4:3: oneil is the head and has no fixed address (the others must find it: give it an address, as in address: 10.3.50.1/24)',
  ],
  [
    'unknown kind',
    `${one}join: { kind: kubernetes, head: oneil }\n`,
    '5:15: join.kind: "kubernetes" is not a valid kind of cluster (one of: swarm, kubeadm, k3s, none)',
  ],
  [
    'manager outside a swarm',
    two('address: 10.3.50.1/24', 'role: manager', 'join: { kind: k3s, head: oneil }\n'),
    '6:31: carter: only a swarm has managers (leave the role out: join.head names the head)',
  ],
  [
    'kubeadm with a 32-bit image',
    node('address: 10.3.50.1/24, image: raspios-bookworm-armhf-lite@2025-05-13') +
      'join: { kind: kubeadm, head: oneil }\n',
    '4:54: oneil has a 32-bit image: Kubernetes left 32-bit ARM with 1.27 (give it an arm64 image, or join: { kind: k3s })',
  ],
  [
    'k3s on a Zero',
    `cluster: sgc\nimage: raspios-bookworm-armhf-lite@2025-05-13\njoin: { kind: k3s, head: ctrl }\nnodes:\n  ctrl: { model: pi4, clusterhat: cnat }\n  a: { model: zero, clusterhat: p1 }\n`,
    '6:15: a is a Raspberry Pi Zero (armv6): k3s does not run on it (k3s needs ARMv7 or arm64)',
  ],
  [
    'swarm overlay without join',
    `${one}overlays: [swarm]\n`,
    '5:12: oneil: the overlay swarm needs join: { kind: swarm } (add join: with kind and head)',
  ],
  [
    'unknown overlay',
    `${one}overlays: [ssh, dokcer]\n`,
    '5:17: there is no overlay dokcer (did you mean docker?)',
  ],
  [
    'overlay switched on by true',
    `${one}overlays: [{ docker: true }]\n`,
    "5:22: overlays[0].docker can't be true (only false, or a map)",
  ],
  [
    'two overlays in one item',
    `${one}overlays:\n  - docker: {}\n    ssh: {}\n`,
    '6:5: overlays[0] has 2 keys (start each overlay with a dash of its own, parameters indented below its name)',
  ],
  [
    'hostname taken away',
    `${one}overlays: [{ hostname: false }]\n`,
    "5:14: the overlay hostname can't be taken away (every node has its name)",
  ],
  [
    'overlays is a word',
    `${one}overlays: ssh\n`,
    '5:11: overlays is the text "ssh"; it should be a list (put it in brackets: [ssh])',
  ],
  [
    'unknown group',
    `${one}groups: { workers: {} }\n`.replace('model: pi4', 'model: pi4, group: worker'),
    '4:31: there is no group worker (did you mean workers?)',
  ],
  [
    'group with an address',
    `${one}groups: { workers: { address: 10.3.50.1/24 } }\n`,
    '5:22: unknown key "address" in groups.workers (keys: model, image, os, boot, storage, user, users, wifi, locale, overlays, labels, role, interface, gateway, dns)',
  ],
  [
    'Wi-Fi on a Pi 2',
    `cluster: sgc\nimage: raspios-bookworm-armhf-lite@2025-05-13\nwifi: { ssid: a, country: DE }\nnodes:\n  oneil: { model: pi2 }\n`,
    '5:3: oneil is a Raspberry Pi 2, which has no Wi-Fi (give it wifi: false)',
  ],
  [
    'pass phrase too short',
    node('wifi: { ssid: a, country: DE, passphrase: hunter2 }'),
    '4:66: nodes.oneil.wifi.passphrase has 7 characters (a Wi-Fi pass phrase has 8 to 63)',
  ],
  [
    'pass phrase without quotes',
    node('wifi: { ssid: a, country: DE, passphrase: 12345678 }'),
    '4:66: nodes.oneil.wifi.passphrase is a number; it should be text (put it in quotes)',
  ],
  [
    'pass phrase file too short',
    node('wifi: { ssid: a, country: DE, passphraseFile: short.passphrase }'),
    '4:70: the first line of "short.passphrase" has 7 characters (a Wi-Fi pass phrase has 8 to 63)',
  ],
  [
    'pass phrase and key',
    node(`wifi: { ssid: a, country: DE, passphraseFile: wifi.passphrase, psk: ${'a'.repeat(64)} }`),
    '4:87: wifi has passphraseFile and psk (keep one of them)',
  ],
  [
    'key of 63 digits',
    node(`wifi: { ssid: a, country: DE, psk: ${'a'.repeat(63)} }`),
    '4:59: nodes.oneil.wifi.psk is not a valid pre-shared key (64 hex digits (wpa_passphrase prints them), or give passphraseFile)',
  ],
  [
    'Wi-Fi name of 33 octets',
    node(`wifi: { ssid: ${'ü'.repeat(16)}x, country: DE }`),
    '4:38: nodes.oneil.wifi.ssid: "üüüüüüüüüüüüüüüüx" has 33 octets (a Wi-Fi name has at most 32)',
  ],
  [
    'country UK',
    node('wifi: { ssid: a, country: UK }'),
    '4:50: nodes.oneil.wifi.country: "UK" is not a valid country code (did you mean GB?)',
  ],
  [
    'no country',
    node('wifi: { ssid: a }'),
    '4:24: wifi has no "country" (without it the radio stays off; for example country: DE)',
  ],
  [
    'user root',
    node('user: { name: root }'),
    '4:38: nodes.oneil.user.name: "root" can\'t be the user (choose another name; sudo makes them root)',
  ],
  [
    'user with underscore',
    node('user: { name: my_user }'),
    '4:38: nodes.oneil.user.name: "my_user" is not a valid user name (a-z first, then a-z, 0-9 and -, at most 32 characters (no underscore: first boot refuses it))',
  ],
  [
    'user with a line break',
    node('user: { name: "pi\\nroot" }'),
    '4:38: nodes.oneil.user.name: "pi\\nroot" is not a valid user name (a-z first, then a-z, 0-9 and -, at most 32 characters (no underscore: first boot refuses it))',
  ],
  ['user without name', node('user: { sshKeys: [] }'), '4:24: user has no "name" (for example name: ops)'],
  [
    'no such key file',
    node('user: { name: ops, sshKeys: [~/.ssh/id_rsa.pub] }'),
    '4:53: there is no file "~/.ssh/id_rsa.pub" (looked for /home/me/.ssh/id_rsa.pub)',
  ],
  [
    'private key file',
    node('user: { name: ops, sshKeys: [keys/id_ed25519] }'),
    '4:53: "keys/id_ed25519" is a private key (give the public one: keys/id_ed25519.pub)',
  ],
  [
    'private key in the file',
    `${one}user:\n  name: ops\n  sshKeys:\n    - |\n      -----BEGIN OPENSSH PRIVATE KEY-----\n      abc\n`,
    '8:7: the key is a private key (remove it from this file, and never use that key again)',
  ],
  [
    'broken key in a file',
    node('user: { name: ops, sshKeys: [keys/broken.pub] }'),
    '4:53: "keys/broken.pub" line 3 is an ssh-ed25519 key that is cut short (copy the whole line of the .pub file)',
  ],
  [
    'key file without a key',
    node('user: { name: ops, sshKeys: [keys/empty.pub] }'),
    '4:53: "keys/empty.pub" holds no key (give the .pub file, or the key as one line)',
  ],
  [
    'key type that is not the key’s',
    node(
      'user: { name: ops, sshKeys: [ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAILxCSpS3kHtf6+6CKVQjB6eX3HR2MxpVQtpVlYb+O0c/ me] }',
    ),
    '4:53: the key says ssh-rsa, but the key inside is ssh-ed25519 (copy the whole line of the .pub file)',
  ],
  [
    'password instead of a hash',
    node('user: { name: ops, passwordHash: hunter2 }'),
    '4:57: nodes.oneil.user.passwordHash is not a password hash (make one with: openssl passwd -6, or give passwordFile; in YAML, put it in single quotes)',
  ],
  [
    'hash and file',
    node(
      `user: { name: ops, passwordFile: pi.password, passwordHash: $5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8 }`,
    ),
    '4:43: user has both passwordHash and passwordFile (keep one of the two)',
  ],
  [
    'password file open to all',
    node('user: { name: ops, passwordFile: open.password }'),
    '4:57: "open.password" holds a secret and can be read by others (mode 0644) (chmod 600 open.password)',
  ],
  [
    'password file with an empty line',
    node('user: { name: ops, passwordFile: empty.password }'),
    '4:57: the first line of "empty.password" is empty (put the secret on the first line)',
  ],
  [
    'no such password file',
    node('user: { name: ops, passwordFile: nowhere }'),
    '4:57: there is no file "nowhere" (looked for /c/nowhere)',
  ],
  [
    'sudo password without password',
    node('user: { name: ops, sudoPassword: true }'),
    '4:57: sudo would ask for a password that the user does not have (give passwordFile or passwordHash, or sudoPassword: false)',
  ],
  [
    'yes instead of true',
    node('user: { name: ops, sudoPassword: yes }'),
    '4:57: nodes.oneil.user.sudoPassword is the text "yes"; it should be true or false (write true or false)',
  ],
  [
    'time zone that is none',
    `${one}locale: { timezone: America/New_Yrok }\n`,
    '5:21: locale.timezone: "America/New_Yrok" is not a known time zone (did you mean America/New_York?)',
  ],
  [
    'time zone with a quote',
    `${one}locale: { timezone: "Etc/UTC'; reboot" }\n`,
    '5:21: locale.timezone: "Etc/UTC\'; reboot" is not a known time zone (a name of the tz database, for example Europe/Berlin or Etc/UTC)',
  ],
  [
    'keyboard with a line break',
    `${one}locale: { keymap: "us\\nreboot" }\n`,
    '5:19: locale.keymap: "us\\nreboot" is not a known keyboard layout (a name like us, gb or de)',
  ],
  [
    'locale without country',
    `${one}locale: { locale: english }\n`,
    '5:19: locale.locale: "english" is not a valid locale (language, country and character set: en_US.UTF-8)',
  ],
  [
    'Zero W booting from the network',
    `${head.replace('arm64', 'armhf')}nodes:\n  oneil: { model: zerow, boot: net, mac: "b8:27:eb:d3:85:78" }\n`,
    "4:32: oneil is a Raspberry Pi Zero W, which can't boot from the network (boot: card; or clusterhat: p1 for USB boot)",
  ],
  [
    'head that boots from the network',
    node('address: 10.3.50.1/24, boot: net, mac: "dc:a6:32:00:00:01"') +
      'join: { kind: swarm, head: oneil }\n',
    "4:53: oneil serves the diskless nodes and can't be one (give it boot: card)",
  ],
  [
    'network boot over Wi-Fi',
    node('boot: net, interface: wlan0, mac: "dc:a6:32:00:00:01", wifi: { ssid: a, country: DE }'),
    '4:30: oneil faces the cluster over Wi-Fi, and no Pi boots over that (boot: card, or an Ethernet interface)',
  ],
  [
    'unknown netboot server',
    `${one}netroot: { server: carter }\n`,
    '5:20: there is no node carter (nodes: oneil)',
  ],
  [
    'router to itself',
    node('address: 10.3.50.1/24, router: { uplink: eth0, lan: eth0 }'),
    '4:76: oneil routes from eth0 to itself (uplink faces the outside, lan the cluster)',
  ],
  [
    'router over Wi-Fi without wifi',
    node('address: 10.3.50.1/24, router: { uplink: wlan0, lan: eth0 }'),
    '4:65: oneil has its uplink on wlan0 and no wifi (add wifi: { ssid, passphraseFile, country })',
  ],
  [
    'router without address',
    node('router: { uplink: eth1, lan: eth0 }'),
    '4:53: oneil is the router and has no fixed address on eth0 (give it an address, as in address: 10.3.50.1/24)',
  ],
  [
    'router without lan',
    node('router: { uplink: eth1 }'),
    '4:24: nodes.oneil.router has no "lan" (for example lan: eth0)',
  ],
  [
    'storage without unit',
    node('storage: 8'),
    '4:33: nodes.oneil.storage is the number 8; it should be text (put it in quotes: "8")',
  ],
  [
    'label with a blank',
    node('labels: { arch: "arm v6" }'),
    '4:40: nodes.oneil.labels.arch: "arm v6" is not a valid label value (letters, digits, . _ : / and - inside)',
  ],
  [
    'interface with a slash',
    node('interface: ../eth0'),
    '4:35: nodes.oneil.interface: "../eth0" is not a valid interface name (as ip link shows it: eth0, wlan0, usb0, br0)',
  ],
  [
    'uplink address on a controller',
    `${head}network: { cidr: 172.19.181.0/24 }\nnodes:\n  ctrl: { model: pi4, clusterhat: cnat, address: 192.168.42.10/24 }\n`,
    '5:50: ctrl: 192.168.42.10 is outside the network 172.19.181.0/24 (choose one from 172.19.181.1 to 172.19.181.254; that of eth0 goes under interfaces: { eth0: { address: 192.168.42.10/24 } })',
  ],
]

for (const [name, text, said] of cases)
  test(`bad cluster file: ${name}`, async () => {
    const { cluster, mistakes } = await parse(text)
    assert.equal(cluster, undefined)
    assert.equal(formatMistakes(mistakes), said)
  })
