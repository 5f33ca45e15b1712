/**
 * The firewall opened, for good: a script that opens it and shuts it again, and a
 * unit that runs it after whatever loads the firewall's rules, each time it does.
 *
 * In nftables and iptables an accept ends only the chain that it is in, so the
 * rules go into a chain of their own, called first from every chain that could
 * shut them out. ufw and firewalld forget rules that they did not set themselves.
 *
 * Sources: nft(8), iptables(8), ufw(8), firewall-cmd(1), systemd.unit(5).
 */
import { NetrootError } from '../errors.ts'
import type { ServedCluster } from '../netroot/served.ts'
import { firewalldRules, iptablesRule, nftRule, openingsOf, ufwRule } from './firewall.ts'
import type { Firewall, FirewallManager } from './machine.ts'
import { fileText, type ServerFile, UNIT_FOLDER } from './server-file.ts'

export const FIREWALL_SCRIPT = '/etc/piimage/netroot/firewall.sh'
export const FIREWALL_UNIT = 'piimage-firewall.service'

const CHAIN = 'piimage_netroot'

/** Who loads the rules. */
const LOADERS: Record<FirewallManager, string> = {
  nftables: 'nftables.service',
  iptables: 'netfilter-persistent.service',
  ufw: 'ufw.service',
  firewalld: 'firewalld.service',
}

/** @throws {NetrootError} a name of the firewall's own that a script can't carry */
export function renderFirewall(served: ServedCluster, firewall: Firewall): ServerFile[] {
  const names = firewall.inputs.flatMap(({ table, chain }) => [table.name, chain])
  const odd = [...names, firewall.zone ?? ''].find((name) => !/^[\w.-]*$/.test(name))
  if (odd !== undefined)
    throw new NetrootError(`the firewall calls something "${odd}", which no command for it can carry`, {
      hint: 'Open it by hand: piimage netroot --dry-run shows the lines.',
    })
  const loader = LOADERS[firewall.manager]
  const wants = fileText(['[Unit]', `Wants=${FIREWALL_UNIT}`])
  const { open, close } = SCRIPTS[firewall.manager](served, firewall)
  return [
    {
      path: FIREWALL_SCRIPT,
      mode: 0o644,
      content: fileText([
        '# firewall.sh open | close: what nodes without cards ask this server for.',
        'set -eu',
        'open() {',
        ...open.map(indent),
        '}',
        'close() {',
        ...close.map(indent),
        '}',
        '"$1"',
      ]),
    },
    {
      path: `${UNIT_FOLDER}/${FIREWALL_UNIT}`,
      mode: 0o644,
      content: fileText([
        '[Unit]',
        'Description=piimage: what diskless nodes ask for passes the firewall',
        `After=${loader}`,
        '# Started anew, or told to load its rules again, it has lost these.',
        `PartOf=${loader}`,
        `ReloadPropagatedFrom=${loader}`,
        '',
        '[Service]',
        'Type=oneshot',
        'RemainAfterExit=yes',
        `ExecStart=/bin/sh ${FIREWALL_SCRIPT} open`,
        `ExecReload=/bin/sh ${FIREWALL_SCRIPT} open`,
        `ExecStop=/bin/sh ${FIREWALL_SCRIPT} close`,
      ]),
    },
    // Whichever comes up brings it along.
    ...['nfs-server.service', loader].map((unit) => ({
      path: `${UNIT_FOLDER}/${unit}.d/piimage-firewall.conf`,
      mode: 0o644,
      content: wants,
    })),
  ]
}

/** Lines of a here-document stand at the margin. */
const indent = (line: string): string => (/^(add|flush|RULES)/.test(line) ? line : `  ${line}`)

interface Script {
  open: string[]
  close: string[]
}

const SCRIPTS: Record<FirewallManager, (served: ServedCluster, firewall: Firewall) => Script> = {
  nftables: (served, { inputs }) =>
    join(inputs.map((input) => (input.table.isIptables ? byIptables(served) : byNft(served, input)))),
  iptables: byIptables,
  ufw(served) {
    const rules = openingsOf(served).map(ufwRule)
    return {
      open: rules.map((rule) => `ufw prepend ${rule} >/dev/null`),
      close: rules.map((rule) => `ufw delete ${rule} >/dev/null || :`),
    }
  },
  firewalld(served, { zone = 'public' }) {
    const words = openingsOf(served).flatMap(firewalldRules)
    const each = (verb: string, end: string) =>
      ['', '--permanent '].flatMap((when) =>
        words.map((word) => `firewall-cmd -q ${when}--zone=${zone} '--${verb}-${word}'${end}`),
      )
    return { open: each('add', ''), close: each('remove', ' || :') }
  },
}

const join = (scripts: readonly Script[]): Script => ({
  open: scripts.flatMap(({ open }) => open),
  close: scripts.flatMap(({ close }) => close),
})

function byNft(served: ServedCluster, { table, chain }: Firewall['inputs'][number]): Script {
  const at = `${table.family} ${table.name}`
  return {
    open: [
      "nft -f - <<'RULES'",
      `add chain ${at} ${CHAIN}`,
      `flush chain ${at} ${CHAIN}`,
      ...openingsOf(served).map((opening) => `add rule ${at} ${CHAIN} ${nftRule(opening)}`),
      'RULES',
      `nft list chain ${at} ${chain} | grep -q 'jump ${CHAIN}' || nft insert rule ${at} ${chain} jump ${CHAIN}`,
    ],
    close: [
      `nft -a list chain ${at} ${chain} 2>/dev/null | sed -n 's/.*jump ${CHAIN} # handle //p' | while read -r handle; do`,
      `  nft delete rule ${at} ${chain} handle "$handle"`,
      'done',
      `nft delete chain ${at} ${CHAIN} 2>/dev/null || :`,
    ],
  }
}

function byIptables(served: ServedCluster): Script {
  return {
    open: [
      `iptables -w -N ${CHAIN} 2>/dev/null || iptables -w -F ${CHAIN}`,
      ...openingsOf(served).map((opening) => `iptables -w -A ${CHAIN} ${iptablesRule(opening)}`),
      `iptables -w -C INPUT -j ${CHAIN} 2>/dev/null || iptables -w -I INPUT -j ${CHAIN}`,
    ],
    close: [
      `iptables -w -D INPUT -j ${CHAIN} 2>/dev/null || :`,
      `iptables -w -F ${CHAIN} 2>/dev/null || :`,
      `iptables -w -X ${CHAIN} 2>/dev/null || :`,
    ],
  }
}
