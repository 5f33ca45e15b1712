/**
 * What each step of the first boot finds on a Pi: its settings, its files, and
 * the programs of others that it asks. One scene per way through a step.
 */
import type { Archive } from './archive.ts'
import type { Rig } from './rig.ts'
import { DOCKER, digestOf, FLANNEL, K3S, KUBEADM, PERL, SWARM_TOKEN, SYSTEMCTL } from './stand-ins.ts'

export interface Scene {
  env?: Record<string, string>
  files?: Record<string, string>
  programs?: Record<string, string>
  /** The system has come up: services are started, and waited for. */
  running?: true
  /** What it may ask for again when it runs a second time, beside questions; each with the reason. */
  again?: { call: RegExp; because: string }[]
}

const ACCOUNTS = {
  'etc/passwd':
    'root:x:0:0::/root:/bin/bash\n_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\npi:x:1000:1000:,,,:/home/pi:/bin/bash\n',
  'etc/group': 'root:x:0:\nadm:x:4:\nsudo:x:27:pi\nvideo:x:44:pi\npi:x:1000:\n',
  'etc/shadow': 'root:*:19000:0:99999:7:::\npi:!:19000:0:99999:7:::\n',
  'etc/gshadow': 'root:*::\nadm:*::\nsudo:*::pi\nvideo:*::pi\npi:!::\n',
  'etc/subuid': 'pi:100000:65536\n',
  'etc/subgid': 'pi:100000:65536\n',
  'home/pi/.profile': '# profile\n',
}

const everywhere: Scene = {
  env: { PIIMAGE_NODE: 'oneil', PIIMAGE_CLUSTER: 'sgc', PIIMAGE_USER: 'ops' },
  files: {
    ...ACCOUNTS,
    'etc/os-release': 'ID=debian\nVERSION_CODENAME=bookworm\n',
    'etc/hostname': 'raspberrypi\n',
    'etc/hosts': '127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n',
    'usr/lib/systemd/system/ssh.service': '',
    'var/lib/lab/.there': '',
  },
  programs: {
    dpkg: 'exec /usr/bin/dpkg "$@"',
    sleep: ':',
    sync: ':',
    df: "echo; echo 'x 1 1 4000000 1% /'",
    systemctl: SYSTEMCTL,
    timedatectl: 'if [ -e /run/rig/clock-wrong ]; then echo no; else echo yes; fi',
  },
}

const started = {
  call: /^systemctl (daemon-reload|--no-block start )/,
  because: 'what runs already is left running',
}
const enabled = {
  call: /^systemctl (--root=\S+ )?(enable|disable) /,
  because: 'the link is there already, or gone',
}

/** By step, then by the way through it. */
export function scenesOf(archive: Archive): Record<string, Record<string, Scene>> {
  const swarm = {
    PIIMAGE_SWARM_HEAD_ADDRESS: '172.19.181.254',
    PIIMAGE_SWARM_ADDRESS_POOL: '172.31.0.0/16',
    PIIMAGE_SWARM_PATIENCE: '20',
    PIIMAGE_SWARM_HEARTBEATS: '0',
    PIIMAGE_SWARM_INTERFACE: 'eth0',
  }
  const addresses = `[ -e /run/rig/no-address ] || for ip in 172.19.181.254 172.19.181.1 10.3.50.1; do echo "2: eth0 inet $ip/24 brd"; done`
  const kubeadm = {
    PIIMAGE_KUBEADM_MINOR: 'v1.34',
    PIIMAGE_KUBEADM_MIRROR: archive.url,
    PIIMAGE_KUBEADM_FINGERPRINT: archive.fingerprint,
    PIIMAGE_KUBEADM_HEAD_ADDRESS: '10.3.50.1',
    PIIMAGE_KUBEADM_POD_NETWORK: '10.244.0.0/16',
    PIIMAGE_KUBEADM_NETWORK: '10.3.50.0/24',
  }
  const kubernetes = {
    'etc/piimage/secrets/kubeadm-token': 'abcdef.0123456789abcdef\n',
    'opt/piimage/material/cluster-ca': 'CA\n',
    'opt/piimage/material/cluster-ca-digest': 'sha256:abc\n',
    'opt/piimage/kubeadm/key.asc': archive.key,
    'opt/piimage/kubeadm/flannel.yml': FLANNEL,
    'opt/piimage/kubeadm/flannel.yml.sha256': `${digestOf(FLANNEL)}  flannel.yml\n`,
    'etc/fstab': '/swap none swap sw 0 0\n/ / ext4 defaults 0 1\n',
    'usr/lib/systemd/system/dphys-swapfile.service': '',
  }
  const arm64 = { dpkg: 'case $1 in --print-architecture) echo arm64 ;; *) exec /usr/bin/dpkg "$@" ;; esac' }
  const installed = {
    ...arm64,
    kubeadm: KUBEADM,
    kubelet: ':',
    containerd: "printf '[runc.options]\\n    SystemdCgroup = false\\n'",
    ip: addresses,
    ...Object.fromEntries(
      ['modprobe', 'sysctl', 'swapoff', 'apt-mark', 'kubectl'].map((name) => [name, ':']),
    ),
  }
  const units = {
    'usr/lib/systemd/system/containerd.service': '',
    'usr/lib/systemd/system/kubelet.service': '',
  }
  const settled = [
    enabled,
    { call: /^(modprobe|sysctl|swapoff) /, because: 'the same settings again' },
    { call: /^apt-mark hold/, because: 'held already' },
  ]
  const k3s = {
    PIIMAGE_K3S_VERSION: 'v1.33.4+k3s1',
    PIIMAGE_K3S_MIRROR: `${archive.url}/k3s`,
    PIIMAGE_K3S_HEAD_ADDRESS: '10.3.50.1',
  }
  archive.put('k3s/v1.33.4+k3s1/k3s-arm64', K3S)
  const networks = {
    'opt/piimage/network/eth0.nmconnection': '[connection]\nid=piimage-eth0\n',
    'etc/piimage/secrets/network/wlan0.nmconnection': '[wifi-security]\npsk=WIFI-PSK\n',
    'opt/piimage/network/eth0.network': '[Match]\nName=eth0\n',
    'opt/piimage/network/eth0.interfaces': 'auto eth0\n',
    'opt/piimage/network/dhcpcd.conf': 'interface eth0\n',
  }
  const daemon = (name: string) => ({
    files: { ...networks, [`etc/systemd/system/multi-user.target.wants/${name}`]: '->/dev/null' },
  })

  return {
    clock: { plain: {} },
    docker: {
      archive: {
        env: {
          PIIMAGE_DOCKER_SOURCE: 'auto',
          PIIMAGE_DOCKER_GROUP: 'true',
          PIIMAGE_DOCKER_MIRROR: archive.url,
          PIIMAGE_DOCKER_FINGERPRINT: archive.fingerprint,
        },
        files: {
          'opt/piimage/docker/key.asc': archive.key,
          'etc/passwd': ACCOUNTS['etc/passwd'].replaceAll('pi:', 'ops:'),
          'etc/group': `${ACCOUNTS['etc/group'].replaceAll('pi', 'ops')}docker:x:999:\n`,
          'etc/gshadow': `${ACCOUNTS['etc/gshadow'].replaceAll('pi', 'ops')}docker:!::\n`,
        },
        again: [enabled],
      },
    },
    'host-keys': {
      plain: {
        files: {
          'etc/ssh/ssh_host_rsa_key': 'stock',
          'etc/cloud/cloud.cfg': '# stock\n',
          'usr/lib/systemd/system/regenerate_ssh_host_keys.service': '',
          'etc/piimage/secrets/ssh_host_ed25519_key': 'HOST-PRIVATE-KEY\n',
          'etc/piimage/secrets/ssh_host_ed25519_key.pub': 'ssh-ed25519 AAAAhost oneil\n',
        },
        again: [enabled],
      },
    },
    hostname: { plain: { env: { PIIMAGE_HOSTNAME: 'oneil', PIIMAGE_DOMAIN: 'sgc.lan' } } },
    k3s: {
      head: {
        running: true,
        env: { ...k3s, PIIMAGE_ROLE: 'head' },
        files: {
          'opt/piimage/material/cluster-ca': 'CA\n',
          'etc/piimage/secrets/cluster-ca-key': 'CA-KEY\n',
          'etc/piimage/secrets/k3s-token': 'SERVER-TOKEN\n',
          'etc/piimage/secrets/k3s-node-password': 'HEAD-PASSWORD\n',
          'etc/piimage/secrets/k3s-agent-password': 'AGENT-TOKEN\n',
          'etc/piimage/k3s.sha256': `${digestOf(K3S)}  k3s-arm64\n`,
          'etc/systemd/system/k3s.service': '[Service]\n',
        },
        again: [enabled, started],
      },
      worker: {
        running: true,
        env: { ...k3s, PIIMAGE_ROLE: 'worker' },
        files: {
          'etc/piimage/secrets/k3s-agent-token': 'K10digest::node:AGENT-TOKEN\n',
          'etc/piimage/secrets/k3s-node-password': 'NODE-PASSWORD\n',
          'etc/piimage/k3s.sha256': `${digestOf(K3S)}  k3s-arm64\n`,
          'etc/systemd/system/k3s-agent.service': '[Service]\n',
        },
        again: [enabled, started],
      },
    },
    kubeadm: {
      archive: {
        env: { ...kubeadm, PIIMAGE_ROLE: 'worker' },
        files: kubernetes,
        programs: arm64,
        again: settled,
      },
      head: {
        running: true,
        env: { ...kubeadm, PIIMAGE_ROLE: 'head', PIIMAGE_KUBEADM_ADDRESS: '10.3.50.1' },
        files: { ...kubernetes, ...units, 'etc/piimage/secrets/cluster-ca-key': 'CA-KEY\n' },
        programs: installed,
        again: [
          ...settled,
          { call: /^kubectl .* apply /, because: 'applying the same manifest changes nothing' },
        ],
      },
      worker: {
        running: true,
        env: { ...kubeadm, PIIMAGE_ROLE: 'worker', PIIMAGE_KUBEADM_ADDRESS: '10.3.50.11' },
        files: { ...kubernetes, ...units },
        programs: installed,
        again: settled,
      },
    },
    locale: {
      plain: {
        env: { PIIMAGE_TIMEZONE: 'America/New_York', PIIMAGE_KEYMAP: 'us', PIIMAGE_LOCALE: 'en_US.UTF-8' },
        files: {
          'usr/share/zoneinfo/America/New_York': 'TZif',
          'etc/default/keyboard': 'XKBMODEL="pc105"\nXKBLAYOUT="gb"\n',
          'etc/locale.gen': '# de_DE.UTF-8 UTF-8\n# en_US.UTF-8 UTF-8\n',
        },
        programs: {
          locale: 'cat /var/lib/lab/locales 2>/dev/null',
          'locale-gen': 'echo en_US.utf8 >/var/lib/lab/locales',
        },
      },
    },
    network: {
      NetworkManager: daemon('NetworkManager.service'),
      dhcpcd: {
        files: { ...daemon('dhcpcd.service').files, 'etc/dhcpcd.conf': '# stock\nhostname\n' },
      },
      networkd: daemon('systemd-networkd.service'),
      ifupdown: { files: { ...networks, 'etc/network/interfaces': '# stock\n' } },
    },
    portainer: {
      plain: {
        files: {
          'etc/piimage/secrets/portainer-password': 'S3cretPassword',
          'etc/piimage/portainer.yaml': 'services: {}\n',
          'var/lib/lab/docker/state': 'active\n',
        },
        programs: { docker: DOCKER },
        again: [
          { call: /^docker stack deploy --resolve-image changed /, because: 'the same stack stays as it is' },
        ],
      },
    },
    router: {
      archive: {
        files: {
          'opt/piimage/material/router-dnsmasq': 'interface=eth0\nbind-dynamic\n',
          'etc/systemd/system/piimage-nat.service': '[Service]\n',
          'etc/apt/keyrings/image.asc': archive.key,
          'etc/apt/sources.list': `deb [signed-by=/etc/apt/keyrings/image.asc] ${archive.url}/flat /\n`,
        },
        programs: { iptables: ':' },
        again: [enabled],
      },
    },
    ssh: { plain: { again: [enabled] } },
    swarm: {
      head: {
        env: { ...swarm, PIIMAGE_ROLE: 'head' },
        files: {
          'opt/piimage/material/join-authorized-keys': 'restrict ssh-ed25519 AAAA piimage-join:oneil\n',
        },
        programs: { docker: DOCKER, ip: addresses },
      },
      worker: {
        env: { ...swarm, PIIMAGE_ROLE: 'worker', PIIMAGE_SWARM_ADDRESS: '172.19.181.1' },
        files: {
          'etc/piimage/secrets/join-key': 'JOIN-PRIVATE-KEY\n',
          'opt/piimage/material/join-known-hosts': '172.19.181.254 ssh-ed25519 AAAA\n',
        },
        programs: {
          docker: DOCKER,
          perl: PERL,
          ip: addresses,
          ssh: `if [ -e /run/rig/head-off ]; then echo 'No route to host' >&2; exit 255; fi; echo ${SWARM_TOKEN}`,
        },
      },
    },
    'swarm-gather': {
      plain: {
        env: { ...swarm, PIIMAGE_ROLE: 'head' },
        files: {
          'opt/piimage/material/swarm-nodes': 'hammond manager arch=armv7\noneil worker room=attic\n',
          'var/lib/piimage-join/.ssh/authorized_keys': 'x\n',
          'etc/sudoers.d/90-piimage-join': 'x\n',
          'usr/local/sbin/piimage-join-token': 'x\n',
          'etc/passwd': `${ACCOUNTS['etc/passwd']}piimage-join:x:999:999::/var/lib/piimage-join:/bin/sh\n`,
          'etc/group': `${ACCOUNTS['etc/group']}piimage-join:x:999:\n`,
          'etc/shadow': `${ACCOUNTS['etc/shadow']}piimage-join:*:19000:0:99999:7:::\n`,
          'etc/gshadow': `${ACCOUNTS['etc/gshadow']}piimage-join:!::\n`,
        },
        programs: { docker: DOCKER },
      },
    },
    user: {
      renamed: {
        files: {
          'etc/piimage/secrets/password-hash': '$6$salt$PASSWORDHASH\n',
          'opt/piimage/keys/authorized_keys': 'ssh-ed25519 AAAAone one\n',
          'home/pi/.ssh/authorized_keys': 'ssh-ed25519 AAAAold old\n',
          'usr/lib/systemd/system/userconfig.service': '',
          'usr/lib/systemd/system/getty@tty1.service': '',
        },
        again: [enabled],
      },
      made: {
        files: {
          ...Object.fromEntries(
            Object.entries(ACCOUNTS).map(([path, text]) => [
              path,
              text.replace(/^pi:.*\n/m, '').replaceAll(':pi\n', ':\n'),
            ]),
          ),
          'etc/subuid': '',
          'etc/subgid': '',
          'opt/piimage/keys/authorized_keys': 'ssh-ed25519 AAAAone one\n',
        },
      },
      beside: {
        files: {
          'opt/piimage/users': 'sam /bin/sh video,zigbee password\nguest /usr/sbin/nologin - no\n',
          'opt/piimage/keys/authorized_keys.sam': 'ssh-ed25519 AAAAsam sam\n',
          'etc/piimage/secrets/password-hash.sam': '$6$salt$PASSWORDHASH\n',
        },
      },
    },
    wifi: {
      plain: {
        env: { PIIMAGE_WIFI_COUNTRY: 'US' },
        files: {
          'var/lib/systemd/rfkill/platform-3f300000.mmcnr:wlan': '1\n',
          'var/lib/NetworkManager/NetworkManager.state': '[main]\nWirelessEnabled=false\n',
          'etc/piimage/secrets/network/wpa_supplicant.conf': 'psk=WIFI-PSK\n',
        },
      },
    },
  }
}

/** What must stand nowhere but in its file: one of these is in every secret of the scenes. */
export const sceneSecrets = [
  'HOST-PRIVATE-KEY',
  'CA-KEY',
  'SERVER-TOKEN',
  'AGENT-TOKEN',
  'abcdef.0123456789abcdef',
  'S3cretPassword',
  'JOIN-PRIVATE-KEY',
  'SWMTKN-1-',
  'PASSWORDHASH',
  'WIFI-PSK',
]

/** Lay a scene on a Pi that has seen nothing. */
export function layScene(rig: Rig, step: string, scene: Scene): void {
  for (const { files = {}, programs = {} } of [everywhere, scene]) {
    rig.lay(files)
    for (const [name, script] of Object.entries(programs)) rig.program(name, script)
  }
  rig.layStep(step, { ...everywhere.env, ...scene.env })
  rig.fact('nodes', 'h hammond Ready\no oneil Ready')
  if (scene.running) rig.comeUp()
  rig.keep()
}
